'''Compare pairs of recordings from a list and print the verification error measures.

The list has three columns: same-voice flag, first file, second file.
'''

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from sound_io import FS, FilterbankFrontend, list_sounds, crop_or_loop, load_signal
from voice_net import VoiceEncoder


def tradeoff(similarities, truths):
    '''Both error rates at each place where a decision boundary can be put.'''
    similarities, truths = np.asarray(similarities), np.asarray(truths)
    ranking = np.argsort(similarities, kind='stable')
    ranked, genuine = similarities[ranking], truths[ranking] == 1
    n_genuine, n_fake = genuine.sum(), (~genuine).sum()
    if n_genuine == 0 or n_fake == 0:
        raise ValueError('need both target and impostor trials')
    rejected = np.concatenate([[0], np.cumsum(genuine)]) / n_genuine
    accepted = 1 - np.concatenate([[0], np.cumsum(~genuine)]) / n_fake
    # equal values fall on the same side
    usable = np.concatenate([[True], np.diff(ranked) > 0, [True]])
    return rejected[usable], accepted[usable]


def crossover_rate(similarities, truths):
    rejected, accepted = tradeoff(similarities, truths)
    difference = rejected - accepted  # climbs from minus one to one
    after = int(np.argmax(difference >= 0))
    before = after - 1
    share = -difference[before] / (difference[after] - difference[before])
    return float(
        rejected[before] + share * (rejected[after] - rejected[before])
    )


def lowest_cost(similarities, truths, prior=0.01, reject_cost=1.0, accept_cost=1.0):
    rejected, accepted = tradeoff(similarities, truths)
    expense = (
        reject_cost * prior * rejected
        + accept_cost * (1 - prior) * accepted
    )
    return float(
        expense.min() / min(reject_cost * prior, accept_cost * (1 - prior))
    )


@torch.no_grad()
def vectorise(encoder, frontend, filename, where, shortest=1.0):
    signal = load_signal(filename)
    signal = crop_or_loop(
        signal,
        max(len(signal), int(shortest * FS)),
    )
    single = torch.from_numpy(np.ascontiguousarray(signal))[None].to(where)
    return F.normalize(encoder(frontend(single)))[0].cpu()


def reference_stats(vectors, references, n_closest):
    '''Average and spread of the similarities to the nearest reference voices.'''
    nearest = (
        (vectors @ references.T)
        .topk(min(n_closest, len(references)), dim=1)
        .values
    )
    return nearest.mean(dim=1), nearest.std(dim=1).clamp(min=1e-6)


def run():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('weights')
    cli.add_argument('pairs', type=Path)
    cli.add_argument('--base', type=Path, default=Path('.'))
    cli.add_argument('--references', help='reference voices; normalises the similarities when given')
    cli.add_argument('--n-closest', type=int, default=300)
    cli.add_argument('--prior', type=float, default=0.01)
    options = cli.parse_args()

    where = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    stored = torch.load(
        options.weights,
        map_location=where,
        weights_only=False,
    )
    encoder = VoiceEncoder(n_channels=stored['n_channels']).to(where).eval()
    encoder.load_state_dict(stored['encoder'])
    frontend = FilterbankFrontend().to(where)

    pairs = [
        row.split()
        for row in options.pairs.read_text().splitlines()
        if row.strip()
    ]
    files = sorted({file for _, one, two in pairs for file in (one, two)})
    index = {file: k for k, file in enumerate(files)}
    vectors = torch.stack(
        [
            vectorise(encoder, frontend, options.base / file, where)
            for file in files
        ]
    )
    truths = np.array([int(pair[0]) for pair in pairs])
    first = torch.tensor([index[pair[1]] for pair in pairs])
    second = torch.tensor([index[pair[2]] for pair in pairs])

    similarities = (vectors[first] * vectors[second]).sum(dim=1)
    if options.references:
        sounds = list_sounds(options.references)
        if len(sounds) < 2:
            raise SystemExit('s-norm needs at least two cohort recordings')
        references = torch.stack(
            [
                vectorise(encoder, frontend, sound, where)
                for sound in sounds
            ]
        )
        average, spread = reference_stats(vectors, references, options.n_closest)
        similarities = 0.5 * (
            (similarities - average[first]) / spread[first]
            + (similarities - average[second]) / spread[second]
        )
    similarities = similarities.numpy()
    print(
        f'trials {len(pairs)}  EER {100 * crossover_rate(similarities, truths):.3f}%  '
        f'minDCF({options.prior}) {lowest_cost(similarities, truths, options.prior):.4f}'
    )


if __name__ == '__main__':
    run()

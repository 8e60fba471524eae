"""Score a trial list ("<1|0> <enrol file> <test file>" per line) and report EER and minDCF."""
import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from audio import SAMPLE_RATE, LogMel, find_audio, fit_length, read_audio
from ecapa import EcapaTDNN


def error_curves(scores, labels):
    """Miss and false-alarm rates for every threshold between sorted scores."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    order = np.argsort(scores, kind="stable")
    sorted_scores, target = scores[order], labels[order] == 1
    n_target, n_impostor = target.sum(), (~target).sum()
    if n_target == 0 or n_impostor == 0:
        raise ValueError("need both target and impostor trials")
    miss = np.concatenate([[0], np.cumsum(target)]) / n_target
    false_alarm = 1 - np.concatenate([[0], np.cumsum(~target)]) / n_impostor
    # a threshold cannot separate tied scores
    keep = np.concatenate([[True], np.diff(sorted_scores) > 0, [True]])
    return miss[keep], false_alarm[keep]


def equal_error_rate(scores, labels):
    miss, fa = error_curves(scores, labels)
    gap = miss - fa  # runs from -1 to +1
    right = int(np.argmax(gap >= 0))
    left = right - 1
    t = -gap[left] / (gap[right] - gap[left])
    return float(miss[left] + t * (miss[right] - miss[left]))


def min_dcf(scores, labels, p_target=0.01, c_miss=1.0, c_fa=1.0):
    miss, fa = error_curves(scores, labels)
    cost = c_miss * p_target * miss + c_fa * (1 - p_target) * fa
    return float(cost.min() / min(c_miss * p_target, c_fa * (1 - p_target)))


@torch.no_grad()
def embed(model, features, path, device, min_seconds=1.0):
    wave = read_audio(path)
    wave = fit_length(wave, max(len(wave), int(min_seconds * SAMPLE_RATE)))
    batch = torch.from_numpy(np.ascontiguousarray(wave))[None].to(device)
    return F.normalize(model(features(batch)))[0].cpu()


def cohort_stats(embeddings, cohort, top_k):
    """Mean and deviation of every embedding's scores against its closest cohort members."""
    best = (embeddings @ cohort.T).topk(min(top_k, len(cohort)), dim=1).values
    return best.mean(dim=1), best.std(dim=1).clamp(min=1e-6)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint")
    p.add_argument("trials", type=Path)
    p.add_argument("--root", type=Path, default=Path("."))
    p.add_argument("--cohort", help="directory of cohort recordings; switches on s-norm")
    p.add_argument("--top-k", type=int, default=300)
    p.add_argument("--p-target", type=float, default=0.01)
    args = p.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    saved = torch.load(args.checkpoint, map_location=device, weights_only=False)
    model = EcapaTDNN(channels=saved["channels"]).to(device).eval()
    model.load_state_dict(saved["model"])
    features = LogMel().to(device)

    trials = [line.split() for line in args.trials.read_text().splitlines() if line.strip()]
    names = sorted({name for _, a, b in trials for name in (a, b)})
    row = {name: i for i, name in enumerate(names)}
    table = torch.stack([embed(model, features, args.root / n, device) for n in names])
    labels = np.array([int(t[0]) for t in trials])
    enrol = torch.tensor([row[t[1]] for t in trials])
    test = torch.tensor([row[t[2]] for t in trials])

    scores = (table[enrol] * table[test]).sum(dim=1)
    if args.cohort:
        files = find_audio(args.cohort)
        if len(files) < 2:
            raise SystemExit("s-norm needs at least two cohort recordings")
        cohort = torch.stack([embed(model, features, f, device) for f in files])
        mean, std = cohort_stats(table, cohort, args.top_k)
        scores = 0.5 * ((scores - mean[enrol]) / std[enrol] + (scores - mean[test]) / std[test])
    scores = scores.numpy()
    print(f"trials {len(trials)}  EER {100 * equal_error_rate(scores, labels):.3f}%  "
          f"minDCF({args.p_target}) {min_dcf(scores, labels, args.p_target):.4f}")


if __name__ == "__main__":
    main()

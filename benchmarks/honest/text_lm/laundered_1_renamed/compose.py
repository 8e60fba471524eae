'''
Let the trained decoder write.
'''
import argparse

import torch

import subwords
from decoder import DecoderSpec, new_memory, score_next


def discourage(scores, used, strength):
    '''Lower the scores of symbols that the text already holds.'''
    return torch.where(
        used,
        torch.where(scores > 0, scores / strength, scores * strength),
        scores,
    )


def best_few(scores, few):
    lowest = scores.topk(min(few, scores.shape[-1])).values[..., -1:]
    return scores.masked_fill(scores < lowest, -torch.inf)


def best_share(scores, share):
    '''Drop the tail that lies beyond the given share of probability.'''
    ranked, places = scores.sort(descending=True)
    chances = ranked.softmax(-1)
    ahead = chances.cumsum(-1) - chances
    return torch.full_like(scores, -torch.inf).scatter(
        -1,
        places,
        ranked.masked_fill(ahead >= share, -torch.inf),
    )


def pick(scores, used, heat, few, share, strength, source):
    '''Choose the next symbol of every sample.'''
    scores = discourage(scores, used, strength)
    if heat == 0:
        return scores.argmax(-1)
    scores = scores / heat
    if few > 0:
        scores = best_few(scores, few)
    if share < 1:
        scores = best_share(scores, share)
    return torch.multinomial(
        scores.softmax(-1),
        1,
        generator=source,
    )[:, 0]


@torch.no_grad()
def compose(
    weights,
    spec,
    symbols,
    how_many,
    final,
    heat=0.8,
    few=50,
    share=0.95,
    strength=1.1,
    source=None,
):
    '''Append up to how_many symbols; finished samples repeat the final one.'''
    how_many = min(how_many, spec.span - symbols.shape[1])
    used = torch.zeros(
        len(symbols),
        spec.n_symbols,
        dtype=torch.bool,
        device=symbols.device,
    ).scatter(1, symbols, True)
    finished = torch.zeros(
        len(symbols),
        dtype=torch.bool,
        device=symbols.device,
    )
    memory = new_memory(
        spec,
        len(symbols),
        symbols.device,
        weights['symbols'].dtype,
    )
    newest = symbols
    for _ in range(how_many):
        scores = score_next(weights, spec, newest, memory)[:, -1].float()
        chosen = pick(
            scores,
            used,
            heat,
            few,
            share,
            strength,
            source,
        ).masked_fill(finished, final)
        used.scatter_(1, chosen[:, None], True)
        newest = chosen[:, None]
        symbols = torch.cat([symbols, newest], 1)
        finished |= chosen == final
        if finished.all():
            break
    return symbols


if __name__ == '__main__':
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('weights')
    cli.add_argument('--vocabulary', default='subwords.json')
    cli.add_argument('--opening', default='')
    cli.add_argument('--length', type=int, default=200)
    cli.add_argument('--heat', type=float, default=0.8)
    cli.add_argument('--few', type=int, default=50)
    cli.add_argument('--share', type=float, default=0.95)
    cli.add_argument('--strength', type=float, default=1.1)
    cli.add_argument('--random-state', type=int, default=0)
    opts = cli.parse_args()

    bundle = torch.load(opts.weights, map_location='cpu', weights_only=True)
    vocabulary = subwords.read_vocabulary(opts.vocabulary)
    symbols = torch.tensor(
        [subwords.text_to_ids(vocabulary, opts.opening, open_tag=True)]
    )
    source = torch.Generator().manual_seed(opts.random_state)
    written = compose(
        bundle['weights'],
        DecoderSpec(**bundle['spec']),
        symbols,
        opts.length,
        vocabulary['controls']['<eos>'],
        opts.heat,
        opts.few,
        opts.share,
        opts.strength,
        source,
    )
    print(subwords.ids_to_text(vocabulary, written[0].tolist()))

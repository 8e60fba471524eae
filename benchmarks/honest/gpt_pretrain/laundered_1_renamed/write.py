'''Let a stored TinyScribe network continue a text.

Usage: python write.py models/scribe/finest.pth --opening "It was a dark night"
'''

import argparse

import tiktoken
import torch

from network import Hyper, Scribe


@torch.inference_mode()
def continue_text(net, symbols, how_many, heat=1.0, shortlist=None):
    for _ in range(how_many):
        raw = net(symbols[:, -net.hyper.window:])[:, -1].float()
        if heat == 0:
            pick = raw.argmax(-1, keepdim=True)
        else:
            raw = raw / heat
            if shortlist:
                cutoff = raw.topk(
                    min(shortlist, raw.shape[-1])
                ).values[:, -1:]
                raw = raw.masked_fill(raw < cutoff, float('-inf'))
            pick = torch.multinomial(raw.softmax(-1), 1)
        symbols = torch.cat([symbols, pick], dim=1)
    return symbols


def run():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument('stored_net')
    cli.add_argument('--opening', default='\n')
    cli.add_argument('--length', type=int, default=200)
    cli.add_argument('--versions', type=int, default=3)
    cli.add_argument('--heat', type=float, default=0.8)
    cli.add_argument('--shortlist', type=int, default=100)
    cli.add_argument('--rng', type=int)
    opts = cli.parse_args()
    if opts.rng is not None:
        torch.manual_seed(opts.rng)

    where = 'cuda' if torch.cuda.is_available() else 'cpu'
    stored = torch.load(opts.stored_net, map_location=where)
    net = Scribe(Hyper(**stored['hyper'])).to(where).eval()
    net.load_state_dict(stored['net'])

    bpe = tiktoken.get_encoding('gpt2')
    opening = torch.tensor(
        [bpe.encode(opts.opening)],
        device=where,
    ).repeat(opts.versions, 1)
    for line in continue_text(
        net,
        opening,
        opts.length,
        opts.heat,
        opts.shortlist,
    ).tolist():
        # symbols past the end of the real BPE table are only filler, so drop them
        print(bpe.decode([s for s in line if s < bpe.n_vocab]))
        print('-' * 40)


if __name__ == '__main__':
    run()

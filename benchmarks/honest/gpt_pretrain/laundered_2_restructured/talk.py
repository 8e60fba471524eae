"""python talk.py work/quill/top.pt --start "In the beginning" """
import argparse

import tiktoken
import torch

from quill import Quill
from settings import NetSizes


def keep_best(scores, k):
    if not k:
        return scores
    k = min(k, scores.size(-1))
    lowest_kept = torch.topk(scores, k, dim=-1)[0][..., -1, None]
    return torch.where(scores < lowest_kept, float("-inf"), scores)


def choose(scores, k, heat):
    if heat == 0:
        return torch.argmax(scores, dim=-1, keepdim=True)
    chances = torch.softmax(keep_best(scores / heat, k), dim=-1)
    return torch.multinomial(chances, num_samples=1)


def extend(net, tokens, k, heat, amount):
    limit = net.sizes.max_len
    with torch.inference_mode():
        while amount > 0:
            scores = net(tokens[:, -limit:])
            tokens = torch.hstack((tokens, choose(scores[:, -1, :].float(), k, heat)))
            amount -= 1
    return tokens


def load_net(path, device):
    state = torch.load(path, map_location=device)
    net = Quill(NetSizes(**state["sizes"]))
    net.load_state_dict(state["net"])
    net.eval()
    return net.to(device)


def options():
    parser = argparse.ArgumentParser(description="Continue a text with a trained quillnet")
    parser.add_argument("file")
    parser.add_argument("--random-seed", type=int, default=None)
    parser.add_argument("--heat", type=float, default=0.8)
    parser.add_argument("--keep", type=int, default=100)
    parser.add_argument("--amount", type=int, default=200)
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--start", default="\n")
    return parser.parse_args()


def show(coder, tokens):
    known = filter(lambda t: t < coder.n_vocab, tokens)
    print(coder.decode(list(known)), "-" * 40, sep="\n")


if __name__ == "__main__":
    opts = options()
    if opts.random_seed is not None:
        torch.manual_seed(opts.random_seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = load_net(opts.file, device)
    coder = tiktoken.get_encoding("gpt2")
    start = torch.tensor(coder.encode(opts.start), device=device)
    start = start.unsqueeze(0).expand(opts.copies, -1)
    for line in extend(net, start, opts.keep, opts.heat, opts.amount):
        show(coder, line.tolist())

"""Draw text from a trained model."""

import argparse

import torch

import bpe
from lm import LMConfig, empty_cache, forward


def penalise(z, seen, alpha):
    """Make tokens already present less likely: divide a positive logit by alpha, multiply a negative one."""
    return torch.where(seen, torch.where(z > 0, z / alpha, z * alpha), z)


def keep_top_k(z, k):
    kth = z.topk(min(k, z.shape[-1])).values[..., -1:]
    return z.masked_fill(z < kth, -torch.inf)


def keep_nucleus(z, mass):
    """Keep the smallest set of tokens whose probability reaches mass."""
    s, order = z.sort(descending=True)
    p = s.softmax(-1)
    before = p.cumsum(-1) - p
    return torch.full_like(z, -torch.inf).scatter(-1, order, s.masked_fill(before >= mass, -torch.inf))


def draw(z, seen, temperature, k, mass, alpha, rng):
    """One token per row from logits (B, V)."""
    z = penalise(z, seen, alpha)
    if temperature == 0:
        return z.argmax(-1)
    z = z / temperature
    if k > 0:
        z = keep_top_k(z, k)
    if mass < 1:
        z = keep_nucleus(z, mass)
    return torch.multinomial(z.softmax(-1), 1, generator=rng)[:, 0]


@torch.no_grad()
def generate(p, c, ids, n, stop, temperature=0.8, k=50, mass=0.95, alpha=1.1, rng=None):
    """Continue ids (B, T) by at most n tokens, rows that reached stop are filled with it."""
    n = min(n, c.context - ids.shape[1])
    seen = torch.zeros(len(ids), c.vocab, dtype=torch.bool, device=ids.device).scatter(1, ids, True)
    done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    cache = empty_cache(c, len(ids), ids.device, p["embed"].dtype)
    step = ids
    for _ in range(n):
        z = forward(p, c, step, cache)[:, -1].float()
        t = draw(z, seen, temperature, k, mass, alpha, rng).masked_fill(done, stop)
        seen.scatter_(1, t[:, None], True)
        step = t[:, None]
        ids = torch.cat([ids, step], 1)
        done |= t == stop
        if done.all():
            break
    return ids


if __name__ == "__main__":
    q = argparse.ArgumentParser(description=__doc__)
    q.add_argument("checkpoint")
    q.add_argument("--bpe", default="bpe.json")
    q.add_argument("--prompt", default="")
    q.add_argument("--tokens", type=int, default=200)
    q.add_argument("--temperature", type=float, default=0.8)
    q.add_argument("--top-k", type=int, default=50)
    q.add_argument("--top-p", type=float, default=0.95)
    q.add_argument("--penalty", type=float, default=1.1)
    q.add_argument("--seed", type=int, default=0)
    a = q.parse_args()

    ck = torch.load(a.checkpoint, map_location="cpu", weights_only=True)
    cd = bpe.load(a.bpe)
    ids = torch.tensor([bpe.encode(cd, a.prompt, bos=True)])
    rng = torch.Generator().manual_seed(a.seed)
    out = generate(
        ck["params"], LMConfig(**ck["config"]), ids, a.tokens, cd["special"]["<eos>"],
        a.temperature, a.top_k, a.top_p, a.penalty, rng,
    )  # fmt: skip
    print(bpe.decode(cd, out[0].tolist()))

"""CTC decoding: best path, and prefix beam search with an n-gram bonus. Also edit distance."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby
from math import exp, inf, log, log1p

from torch import Tensor

Score = Callable[[tuple[int, ...], int], float]


def greedy(logp: Tensor) -> list[int]:
    """Best path of (T, V): merge repeats, drop blanks."""
    return [k for k, _ in groupby(logp.argmax(-1).tolist()) if k]


def lse(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    a, b = max(a, b), min(a, b)
    return a if b == -inf else a + log1p(exp(b - a))


def ngram(corpus: Sequence[Sequence[int]], order: int, vocab: int, backoff: float = 0.4) -> Score:
    """Stupid-backoff n-gram: returns f(history, token) -> log score. History may be of any length."""
    counts: Counter = Counter()
    for seq in corpus:
        s = (-1,) * (order - 1) + tuple(seq)
        counts.update(s[i - k : i + 1] for i in range(order - 1, len(s)) for k in range(order))
    ctx: Counter = Counter()
    for g, c in counts.items():
        ctx[g[:-1]] += c

    def f(hist: tuple[int, ...], tok: int) -> float:
        h = ((-1,) * (order - 1) + hist)[len(hist) :]
        for i in range(order):
            if c := counts[(*h[i:], tok)]:
                return i * log(backoff) + log(c / ctx[h[i:]])
        return order * log(backoff) - log(vocab)

    return f


def beam(
    logp: Tensor,
    width: int = 16,
    *,
    lm: Score | None = None,
    alpha: float = 0.5,
    beta: float = 1.0,
    top: int = 20,
    floor: float = -9.0,
) -> list[tuple[list[int], float]]:
    """Prefix beam search on (T, V) -> [(tokens, score)], best first.

    Rank = acoustic + alpha * lm + beta * length. Tokens under `floor` (natural log) are not tried.
    """
    beams = {(): (0.0, -inf)}  # prefix -> log p(ending in blank), log p(ending in its last token)
    bonus = {(): 0.0}
    for row in logp:
        val, idx = (t.tolist() for t in row.topk(min(top, len(row))))
        cand = [(k, p) for k, p in zip(idx, val, strict=True) if p > floor or k == idx[0]]
        new: dict = defaultdict(lambda: (-inf, -inf))
        for pre, (b, nb) in beams.items():
            for k, p in cand:
                both = lse(b, nb)
                if k == 0:
                    new[pre] = (lse(new[pre][0], both + p), new[pre][1])
                    continue
                rep = bool(pre) and pre[-1] == k
                if rep:
                    new[pre] = (new[pre][0], lse(new[pre][1], nb + p))
                ext = (*pre, k)
                new[ext] = (new[ext][0], lse(new[ext][1], (b if rep else both) + p))
                if ext not in bonus:
                    bonus[ext] = bonus[pre] + beta + (alpha * lm(pre, k) if lm else 0.0)
        keep = sorted(new, key=lambda s: lse(*new[s]) + bonus[s], reverse=True)[:width]
        beams = {s: new[s] for s in keep}
    return [(list(s), lse(*p) + bonus[s]) for s, p in beams.items()]


def edits(a: Sequence, b: Sequence) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diag, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diag, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diag + (x != y))
    return row[-1]

"""Decoders."""

from math import exp, inf, log, log1p

import torch

from asr import Asr, fit_one_batch

WIDTH = 16
SHORTLIST = 20
LM_SCALE = 0.5
INSERTION = 0.3


def logaddexp(x, y):
    if x < y:
        x, y = y, x
    if y != -inf:
        x = x + log1p(exp(y - x))
    return x


class BackoffLm:
    def __init__(self, sequences, order=3, alpha=0.4):
        self.order = order
        self.alpha = log(alpha)
        self.ngrams, self.histories = {}, {}
        for seq in sequences:
            self._add(tuple(seq))

    def _add(self, seq):
        for n in range(1, self.order + 1):
            for start in range(len(seq) - n + 1):
                gram = seq[start : start + n]
                hist = gram[:-1]
                self.ngrams[gram] = self.ngrams.get(gram, 0) + 1
                self.histories[hist] = self.histories.get(hist, 0) + 1

    def __call__(self, hist, token):
        hist = hist[-(self.order - 1) :] if self.order > 1 else ()
        steps = 0
        while True:
            c = self.ngrams.get(hist + (token,), 0)
            if c:
                return steps * self.alpha + log(c / self.histories[hist])
            steps += 1
            if not hist:
                break
            hist = hist[1:]
        return steps * self.alpha - log(1 + self.histories.get((), 0))


def beam_decode(logp, lm=None, null=0, width=WIDTH, shortlist=SHORTLIST):
    """Hypothesis: prefix -> [log p ending in null, log p ending in a token, bonus]."""
    hyps = {(): [0.0, -inf, 0.0]}
    for frame in logp:
        k = min(shortlist, frame.numel())
        top = torch.topk(frame, k)
        pairs = list(zip(top.indices.tolist(), top.values.tolist()))
        hyps = prune(grow(hyps, pairs, lm, null), width)
    return list(next(iter(prune(hyps, 1))))


def strength(h):
    return logaddexp(h[0], h[1]) + h[2]


def prune(hyps, width):
    order = sorted(hyps, key=lambda p: -strength(hyps[p]))
    return {p: hyps[p] for p in order[:width]}


def grow(hyps, pairs, lm, null):
    new = {}
    for prefix, (p_null, p_tok, bonus) in hyps.items():
        either = logaddexp(p_null, p_tok)
        last = prefix[-1] if prefix else None
        for tok, lp in pairs:
            if tok != null:
                start = either
                if tok == last:
                    stay = new.setdefault(prefix, [-inf, -inf, 0.0])
                    stay[1] = logaddexp(stay[1], p_tok + lp)
                    stay[2] = bonus
                    # a second one needs a null in between
                    start = p_null
                if start != -inf:
                    ext = new.setdefault(prefix + (tok,), [-inf, -inf, 0.0])
                    ext[1] = logaddexp(ext[1], start + lp)
                    ext[2] = bonus
                    if lm is not None:
                        ext[2] += LM_SCALE * lm(prefix, tok) + INSERTION
            else:
                stay = new.setdefault(prefix, [-inf, -inf, 0.0])
                stay[0] = logaddexp(stay[0], either + lp)
                stay[2] = bonus
    return new


def argmax_decode(logp, n_frames, null=0):
    out = []
    for i in range(logp.size(0)):
        ids = logp[i, : int(n_frames[i])].argmax(-1)
        ids = torch.unique_consecutive(ids)
        out.append([t for t in ids.tolist() if t != null])
    return out


if __name__ == "__main__":
    torch.manual_seed(0)
    net = Asr(n_vocab=12, width=64, n_layers=2, p=0.0)
    audio = torch.randn(2, 16000)
    n_samples = torch.tensor([16000, 12000])
    transcripts = [torch.tensor(t) for t in ([1, 2, 2, 5, 7], [4, 3, 9])]
    fit_one_batch(net, audio, n_samples, transcripts)
    with torch.no_grad():
        logp, n = net.eval()(audio, n_samples)
    lm = BackoffLm(t.tolist() for t in transcripts)
    print("argmax", argmax_decode(logp, n))
    for row, stop in zip(logp, n):
        print("beam", beam_decode(row[:stop], lm))

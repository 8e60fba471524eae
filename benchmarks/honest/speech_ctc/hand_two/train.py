"""Train and evaluate: python train.py train.tsv dev.tsv  (lines: path.wav<TAB>text), or --toy for beeps."""

import argparse
import random
import time
import wave
from math import pi
from pathlib import Path

import torch
from decode import beam, edits, greedy, ngram
from features import FEATS, logmel, specaug, standardize
from model import NET, Recognizer, ctc
from torch import Tensor

CHARS = " 'abcdefghijklmnopqrstuvwxyz"
ID = {c: i for i, c in enumerate(CHARS, 1)}


def text2ids(s: str) -> list[int]:
    """Lower-case characters we know, the rest dropped."""
    return [ID[c] for c in s.lower() if c in ID]


def ids2text(ids: list[int]) -> str:
    """Inverse of text2ids."""
    return "".join(CHARS[i - 1] for i in ids)


def read(path: str) -> Tensor:
    """16-bit mono wav at the configured rate -> (N,)."""
    with wave.open(path) as f:
        if (f.getframerate(), f.getnchannels(), f.getsampwidth()) != (FEATS["rate"], 1, 2):
            raise ValueError(f"{path}: want 16-bit mono at {FEATS['rate']} Hz")
        raw = bytearray(f.readframes(f.getnframes()))
    return torch.frombuffer(raw, dtype=torch.int16).float() / 32768


def beeps(n: int, seed: int) -> list[tuple[Tensor, str]]:
    """Toy corpus: each of the letters a-h is a 120 ms tone of its own."""
    r, t = random.Random(seed), torch.arange(1920) / FEATS["rate"]
    texts = ["".join(r.choices("abcdefgh", k=r.randint(2, 6))) for _ in range(n)]
    tone = {c: torch.sin(2 * pi * (300 + 250 * i) * t) for i, c in enumerate("abcdefgh")}
    gap = torch.zeros(800)
    return [(torch.cat([y for c in s for y in (tone[c], gap)]) * 0.3, s) for s in texts]


def manifest(path: str) -> list[tuple[str, str]]:
    """Read a two-column tsv."""
    return [tuple(ln.split("\t", 1)) for ln in Path(path).read_text("utf8").splitlines() if "\t" in ln]


def featurize(wav: Tensor | str) -> Tensor:
    """Path or samples -> (T, M)."""
    x = read(wav) if isinstance(wav, str) else wav
    return standardize(logmel(x + 1e-4 * torch.randn_like(x)))


def batches(data: list, size: int, train: bool):
    """Yield padded features, their lengths, padded targets, theirs; shuffled and augmented in training."""
    data = random.sample(data, len(data)) if train else data
    for i in range(0, len(data), size):
        part = data[i : i + size]
        xs = [featurize(w) for w, _ in part]
        xs = [specaug(x) for x in xs] if train else xs
        ys = [torch.tensor(text2ids(s), dtype=torch.long) for _, s in part]
        n, m = (torch.tensor([len(v) for v in vs]) for vs in (xs, ys))
        x, y = (torch.nn.utils.rnn.pad_sequence(v, batch_first=True) for v in (xs, ys))
        yield x, n, y, m


@torch.inference_mode()
def evaluate(net: Recognizer, data: list, a: argparse.Namespace, lm=None) -> dict[str, float]:
    """Character error rate of both decoders."""
    net.eval()
    err, tot = {"greedy": 0, "beam": 0}, 0
    for x, n, y, m in batches(data, a.batch, False):
        logp, k = net(x.to(a.device), n.to(a.device))
        for lp, t, ref, u in zip(logp.cpu(), k.tolist(), y.tolist(), m.tolist(), strict=True):
            tot += u
            hyps = {
                "greedy": greedy(lp[:t]),
                "beam": beam(lp[:t], a.width, lm=lm, alpha=a.alpha, beta=a.beta)[0][0],
            }
            err = {h: err[h] + edits(s, ref[:u]) for h, s in hyps.items()}
    print("  e.g.", *(f"{h}={ids2text(s)!r}" for h, s in hyps.items()), f"ref={ids2text(ref[:u])!r}")
    return {h: e / max(tot, 1) for h, e in err.items()}


def rate(step: int, a: argparse.Namespace) -> float:
    """Linear warmup, then inverse square root."""
    return min((step + 1) / a.warmup, (a.warmup / (step + 1)) ** 0.5)


def main(a: argparse.Namespace) -> None:
    """Train, evaluate every epoch, keep the best."""
    torch.manual_seed(a.seed)
    random.seed(a.seed)
    train, dev = (beeps(400, 0), beeps(40, 1)) if a.toy else map(manifest, (a.train, a.dev))
    cfg = {k: v for k, v in vars(a).items() if k in NET}
    net = Recognizer(len(CHARS) + 1, FEATS["mels"], cfg).to(a.device)
    opt = torch.optim.AdamW(net.parameters(), a.lr, betas=(0.9, 0.98), weight_decay=1e-2)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: rate(s, a))
    lm = ngram([text2ids(s) for _, s in train], a.order, len(CHARS))
    best = float("inf")
    for ep in range(a.epochs):
        net.train()
        t0, losses = time.time(), []
        for batch in batches(train, a.batch, True):
            x, n, y, m = (v.to(a.device) for v in batch)
            loss = ctc(*net(x, n), y, m)
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
            sched.step()
            losses.append(loss.item())
        cer = evaluate(net, dev, a, lm)
        print(f"epoch {ep} loss {sum(losses) / len(losses):.3f} {cer} {time.time() - t0:.0f}s", flush=True)
        if cer["beam"] < best:
            best = cer["beam"]
            torch.save({"net": net.state_dict(), "cfg": net.c, "cer": best}, a.out)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("train", nargs="?")
    p.add_argument("dev", nargs="?")
    p.add_argument("--toy", action="store_true")
    p.add_argument("--out", default="best.pt")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    opts = {"epochs": 50, "batch": 16, "lr": 1e-3, "warmup": 2000, "seed": 0}
    opts |= {"width": 16, "order": 4, "alpha": 0.4, "beta": 0.8}
    for k, v in {**opts, **NET}.items():
        p.add_argument(f"--{k}", type=type(v), default=v)
    args = p.parse_args()
    if not args.toy and not (args.train and args.dev):
        p.error("give two manifests or --toy")
    main(args)

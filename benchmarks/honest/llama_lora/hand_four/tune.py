"""python tune.py [key=value ...]   weights: a plain state dict of llama.Llama"""
import ast
import math
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import sentencepiece as spm
import torch
import torch.nn.functional as F

import data
import lora
from llama import Llama, Shape

C = dict(
    base="base.pt", tok="tok.model", train="train.jsonl", val="val.jsonl", out="run",
    names=("wq", "wk", "wv", "wo"), r=8, alpha=16.0, p=0.05,
    T=768, bs=4, acc=8, epochs=3, lr=2e-4, lr_min=0.05, warm=0.04, wd=0.01, b2=0.99, clip=1.0,
    dtype="bf16", every=50, seed=3, shape={},
)


def nll(f, b, dev):
    """Sum of the negative log likelihood over answer tokens, and their number."""
    t, y, k = (a.to(dev) for a in b)
    z = f(t, k)[:, :-1].float()
    y = y[:, 1:]
    return F.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1), ignore_index=data.VOID, reduction="sum"), \
        (y != data.VOID).sum()


def main():
    for a in sys.argv[1:]:
        k, v = a.split("=", 1)
        assert k in C, k
        C[k] = v if isinstance(C[k], str) else ast.literal_eval(v)
    torch.manual_seed(C["seed"])
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    dt = dict(bf16=torch.bfloat16, fp16=torch.float16, fp32=torch.float32)[C["dtype"]]
    ac = (lambda: torch.autocast(dev, dt)) if dt != torch.float32 else nullcontext
    out = Path(C["out"])
    out.mkdir(parents=True, exist_ok=True)
    tk = spm.SentencePieceProcessor(model_file=C["tok"])
    f = Llama(Shape(**C["shape"]))
    f.load_state_dict(torch.load(C["base"], map_location="cpu"))
    # frozen weights may live in half precision, A and B stay in single
    f = f.to(dev, torch.bfloat16 if dt == torch.bfloat16 else torch.float32)
    L = dict(names=tuple(C["names"]), r=C["r"], alpha=C["alpha"], p=C["p"])
    n = lora.inject(f, **L)
    P = [p for p in f.parameters() if p.requires_grad]
    print(f"{n} layers, {sum(p.numel() for p in P) / 1e6:.2f} M of {sum(p.numel() for p in f.parameters()) / 1e6:.0f} M")

    X, Y = data.read(tk, C["train"], C["T"]), data.read(tk, C["val"], C["T"])
    opt = torch.optim.AdamW(P, C["lr"], betas=(0.9, C["b2"]), weight_decay=C["wd"])
    amp = torch.cuda.amp.GradScaler(enabled=dt == torch.float16 and dev == "cuda")
    nb = C["bs"] * C["acc"]
    per = math.ceil(len(X) / nb)
    N, W = per * C["epochs"], max(1, int(C["warm"] * per * C["epochs"]))
    it, best, t0 = 0, math.inf, time.time()
    for ep in range(C["epochs"]):
        perm = torch.randperm(len(X)).tolist()
        for k in range(per):
            f.train()
            u = (it + 1) / W if it < W else C["lr_min"] + (1 - C["lr_min"]) * 0.5 * (1 + math.cos(math.pi * (it - W) / max(1, N - W)))
            for g in opt.param_groups:
                g["lr"] = C["lr"] * u
            J = perm[k * nb:(k + 1) * nb]
            B = [data.collate([X[j] for j in J[i:i + C["bs"]]]) for i in range(0, len(J), C["bs"])]
            # one mean over all answer tokens of the step, not a mean of means
            m = sum(int((b[1][:, 1:] != data.VOID).sum()) for b in B)
            tot = 0.0
            for b in B:
                with ac():
                    l, _ = nll(f, b, dev)
                amp.scale(l / m).backward()
                tot += l.item() / m
            amp.unscale_(opt)
            gn = torch.nn.utils.clip_grad_norm_(P, C["clip"])
            amp.step(opt)
            amp.update()
            opt.zero_grad(set_to_none=True)
            it += 1
            if it % 10 == 0:
                print(f"{it:6d}/{N}  L {tot:.4f}  |g| {gn:.2f}  lr {opt.param_groups[0]['lr']:.2e}  {time.time() - t0:.0f} s", flush=True)
            if it % C["every"] == 0 or it == N:
                f.eval()
                s = torch.zeros(2, dtype=torch.float64)
                with torch.no_grad(), ac():
                    for i in range(0, len(Y), C["bs"]):
                        s += torch.stack([q.double() for q in nll(f, data.collate(Y[i:i + C["bs"]]), dev)]).cpu()
                v = float(s[0] / s[1])
                print(f"   val {v:.4f}  perplexity {math.exp(v):.2f}", flush=True)
                lora.save(f, out / "last.pt", **L)
                if v < best:
                    best = v
                    lora.save(f, out / "best.pt", **L)


if __name__ == "__main__":
    main()

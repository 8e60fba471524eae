"""W -> W + (alpha/r) B A on chosen linear maps."""
import math

import torch
import torch.nn as nn


class Lora(nn.Module):
    def __init__(self, lin, r, alpha, p):
        super().__init__()
        self.lin, self.z, self.on = lin, alpha / r, False      # on: already merged
        self.A = nn.Parameter(torch.empty(r, lin.in_features, device=lin.weight.device))
        self.B = nn.Parameter(torch.zeros(lin.out_features, r, device=lin.weight.device))
        nn.init.normal_(self.A, 0.0, 1 / math.sqrt(lin.in_features))
        self.drop = nn.Dropout(p)

    def forward(self, x):
        y = self.lin(x)
        if self.on:
            return y
        u = self.drop(x).to(self.A.dtype)
        return y + (self.z * (u @ self.A.T @ self.B.T)).to(y.dtype)


def inject(f, names, r=8, alpha=16.0, p=0.05):
    """Wrap every linear map whose last name is in names; all else is frozen."""
    f.requires_grad_(False)
    hit = [(n, m) for n, m in f.named_modules() if isinstance(m, nn.Linear) and n.split(".")[-1] in names]
    if not hit:
        raise ValueError(f"no linear layer called any of {sorted(names)}")
    for n, m in hit:
        up, _, leaf = n.rpartition(".")
        setattr(f.get_submodule(up), leaf, Lora(m, r, alpha, p))
    return len(hit)


@torch.no_grad()
def fold(f, on):
    """on=True merges, on=False takes the update out again."""
    for m in f.modules():
        if isinstance(m, Lora) and m.on != on:
            dW = m.z * (m.B.double() @ m.A.double())
            m.lin.weight.copy_(m.lin.weight.double() + (dW if on else -dW))
            m.on = on


def save(f, path, **meta):
    w = {f"{n}.{k}": getattr(m, k).detach().cpu()
         for n, m in f.named_modules() if isinstance(m, Lora) for k in "AB"}
    torch.save(dict(w=w, meta=meta), path)


def load(f, path):
    """Injects with the stored settings if necessary, then fills A and B."""
    s = torch.load(path, map_location="cpu")
    if not any(isinstance(m, Lora) for m in f.modules()):
        inject(f, **s["meta"])
    L = {n: m for n, m in f.named_modules() if isinstance(m, Lora)}
    if {f"{n}.{k}" for n in L for k in "AB"} != set(s["w"]):
        raise KeyError("adapter does not fit this model")
    fold(f, False)
    with torch.no_grad():
        for n, m in L.items():
            m.A.copy_(s["w"][n + ".A"])
            m.B.copy_(s["w"][n + ".B"])

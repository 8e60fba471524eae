"""JSON lines {"instruction", "input"?, "output"} -> tokens and labels."""
import json

import torch

HEAD = "### Task\n{instruction}\n\n"
CTX = "### Context\n{input}\n\n"
TAIL = "### Reply\n"
VOID = -100


def prompt(e):
    return HEAD.format(**e) + (CTX.format(**e) if (e.get("input") or "").strip() else "") + TAIL


def encode(tk, e, T):
    """(ids, labels): the prompt carries no loss. None if nothing of the answer would be left."""
    a = [tk.bos_id()] + tk.encode(prompt(e))
    b = tk.encode(e["output"].strip()) + [tk.eos_id()]
    if len(a) >= T:
        return None
    return (a + b)[:T], ([VOID] * len(a) + b)[:T]


def read(tk, path, T):
    X, lost = [], 0
    with open(path, encoding="utf-8") as fh:
        for s in fh:
            if s.strip():
                x = encode(tk, json.loads(s), T)
                lost += x is None
                X += [] if x is None else [x]
    print(f"{path}: {len(X)} examples, {lost} too long")
    return X


def collate(X, pad=0, q=8):
    """Right padding to a multiple of q -> t, y, keep."""
    T = -(-max(len(a) for a, _ in X) // q) * q
    t = torch.full((len(X), T), pad)
    y = torch.full((len(X), T), VOID)
    for i, (a, b) in enumerate(X):
        t[i, :len(a)] = torch.tensor(a)
        y[i, :len(b)] = torch.tensor(b)
    n = torch.tensor([len(a) for a, _ in X])
    return t, y, torch.arange(T)[None] < n[:, None]

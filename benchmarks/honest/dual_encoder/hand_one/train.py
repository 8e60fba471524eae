"""Train the dual encoder on a tensor file, or evaluate it: recall@k, and zero-shot classes from prompts.

The data file (torch.save) is a dict: "images" (N, 3, H, W) uint8, "captions" list of N strings, and for the zero-shot
test also "labels" (N,) int and "classes" list of names.
"""

import argparse
import math
from dataclasses import asdict

import numpy as np
import torch

from augment import AugmentConfig, augment, centre
from contrast import follow, new_queue, push, symmetric_loss
from towers import DualConfig, TowerConfig, encode_image, encode_text, init, tokenise, unit

PROMPTS = (
    "a photo of a {}",
    "a blurry photo of a {}",
    "a close-up of a {}",
    "a drawing of a {}",
    "a small picture showing one {}",
    "{}",
)


@torch.no_grad()
def embed_images(p, c, images, batch, device):
    view = AugmentConfig(size=c.size)
    out = [encode_image(p, c, centre(x.to(device).float() / 255, view)) for x in images.split(batch)]
    return torch.cat(out)


@torch.no_grad()
def embed_texts(p, c, texts, batch, device):
    out = [encode_text(p, c, tokenise(texts[k : k + batch], c).to(device)) for k in range(0, len(texts), batch)]
    return torch.cat(out)


def class_vectors(p, c, classes, device):
    """(K, e): the direction of the mean over prompts."""
    t = embed_texts(p, c, [q.format(k) for k in classes for q in PROMPTS], 256, device)
    return unit(t.reshape(len(classes), len(PROMPTS), -1).mean(1))


def recall(s, ks):
    """Share of rows of s (N, N) whose partner on the diagonal is among the k highest; equal scores count against it."""
    better = (s >= s.diagonal()[:, None]).sum(1) - 1
    return {k: (better < k).float().mean().item() for k in ks}


def evaluate(p, c, data, a):
    u = embed_images(p, c, data["images"], a.batch, a.device)
    v = embed_texts(p, c, data["captions"], a.batch, a.device)
    s = torch.einsum("ie,je->ij", u, v)
    for name, m in (("image to text", s), ("text to image", s.T)):
        print(f"  {name}: " + "  ".join(f"R@{k} {r:.3f}" for k, r in recall(m, (1, 5, 10)).items()))
    if "labels" in data:
        w = class_vectors(p, c, data["classes"], a.device)
        hit = (u @ w.T).argmax(1).cpu() == data["labels"]
        print(f"  zero-shot accuracy {hit.float().mean():.3f} over {len(w)} classes")


def rate(k, total, a):
    """Warm-up over the first twentieth, then a cosine to zero."""
    warm = max(total // 20, 1)
    return a.lr * min((k + 1) / warm, 0.5 * (1 + math.cos(math.pi * max(k - warm, 0) / max(total - warm, 1))))


def step(p, slow, c, opt, queue, x, texts, view, a):
    x = x.to(a.device).float() / 255
    ids = tokenise(texts, c).to(a.device)
    with torch.no_grad():
        ki, kt = encode_image(slow, c, augment(x, view)), encode_text(slow, c, ids)
    u, v = encode_image(p, c, augment(x, view)), encode_text(p, c, ids)
    loss = symmetric_loss(p, u, v, ki, kt, queue, a.hardness)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
    opt.step()
    with torch.no_grad():
        p["log_beta"].clamp_(0.0, math.log(100.0))
    follow(slow, p, a.momentum)
    push(queue, ki, kt)
    return loss.item()


def fit(data, held, a):
    c = DualConfig(
        TowerConfig(a.width, a.image_layers, a.heads), TowerConfig(a.width, a.text_layers, a.heads), a.size, a.patch
    )
    p = {k: t.detach().to(a.device).requires_grad_() for k, t in init(c, a.seed).items()}
    slow = {k: t.detach().clone() for k, t in p.items()}
    opt = torch.optim.AdamW(
        [
            {"params": [t for t in p.values() if t.ndim > 1], "weight_decay": a.decay},
            {"params": [t for t in p.values() if t.ndim < 2], "weight_decay": 0.0},
        ],
        lr=a.lr,
        betas=(0.9, 0.98),
    )
    queue, view = new_queue(a.queue, c.embed, a.device), AugmentConfig(size=c.size)
    rng, n = np.random.default_rng(a.seed), len(data["captions"])
    per = n // a.batch
    if per == 0:
        raise SystemExit(f"{n} pairs do not fill one batch of {a.batch}")
    for e in range(a.epochs):
        order, total = rng.permutation(n), 0.0
        for k in range(per):
            for g in opt.param_groups:
                g["lr"] = rate(e * per + k, a.epochs * per, a)
            i = order[k * a.batch : (k + 1) * a.batch]
            texts = [data["captions"][j] for j in i]
            total += step(p, slow, c, opt, queue, data["images"][torch.from_numpy(i)], texts, view, a)
        print(f"epoch {e}: loss {total / per:.4f}, temperature {math.exp(-p['log_beta'].item()):.4f}")
        evaluate(slow, c, held, a)
        torch.save({"config": asdict(c), "params": {k: t.detach() for k, t in p.items()}, "slow": slow}, a.out)


def load(path, device):
    ck = torch.load(path, map_location=device, weights_only=True)
    g = ck["config"]
    g["image"], g["text"] = TowerConfig(**g["image"]), TowerConfig(**g["text"])
    return ck["slow"], DualConfig(**g)


if __name__ == "__main__":
    q = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    q.add_argument("held", help="data to evaluate on")
    q.add_argument("--train", help="data to train on; without it --out is loaded and evaluated")
    for name, default in dict(width=256, heads=4, image_layers=8, text_layers=6, size=112, patch=14).items():
        q.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    for name, default in dict(batch=256, epochs=40, queue=8192, seed=0).items():
        q.add_argument("--" + name, type=int, default=default)
    for name, default in dict(lr=5e-4, decay=0.05, momentum=0.995, hardness=0.5).items():
        q.add_argument("--" + name, type=float, default=default)
    q.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    q.add_argument("--out", default="dual.pt")
    a = q.parse_args()

    torch.manual_seed(a.seed)
    held = torch.load(a.held, weights_only=True)
    if a.train:
        fit(torch.load(a.train, weights_only=True), held, a)
    else:
        evaluate(*load(a.out, a.device), held, a)

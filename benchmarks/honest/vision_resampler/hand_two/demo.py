"""python demo.py photo.jpg --prompt "<|image|> What is this?" (random images when none are given)."""

import argparse
import time

import torch
from connector import CFG, Connector, splice
from prompt import IMAGE, VOCAB, collate, expand
from tiles import pack, split
from torch import Tensor, nn


def load(path: str) -> Tensor:
    """File -> uint8 (3, H, W)."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)


def main(a: argparse.Namespace) -> None:
    """Images and a prompt in, the language model's input embeddings out."""
    torch.manual_seed(a.seed)
    cfg = {**CFG, **{k: v for k, v in vars(a).items() if k in CFG and v is not None}}
    imgs = [load(p) for p in a.images] or [torch.rand(3, 300, 500), torch.rand(3, 1400, 700)]
    views = [split(x, cfg["side"], cfg["patch"], cfg["max_tiles"]) for x in imgs]
    for x, v in zip(imgs, views, strict=True):
        print(f"{tuple(x.shape[1:])} -> thumb {tuple(v['thumb'].shape[1:])}, grid {v['grid']}", end=" ")
        print(f"of {tuple(v['tiles'][0].shape[1:])}" if v["tiles"] else "")

    net = Connector(cfg).to(a.device).eval()
    batch = pack([t for v in views for t in (v["thumb"], *v["tiles"])], cfg["patch"])
    prompt = a.prompt or IMAGE * len(imgs) + " Describe."
    ids, _ = collate([expand(prompt, [v["grid"] for v in views], cfg["queries"])])
    emb = nn.Embedding(max(VOCAB.values()) + 1, cfg["lm_dim"])
    t0 = time.time()
    with torch.inference_mode():
        vis = net(**{k: v.to(a.device) for k, v in batch.items()})
        seq = splice(emb(ids).to(a.device), ids.to(a.device), vis, VOCAB["<|slot|>"])
    print(
        f"{len(vis)} views, {vis.shape[1]} tokens each -> input {tuple(seq.shape)} in {time.time() - t0:.2f}s"
    )


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("images", nargs="*")
    p.add_argument("--prompt")
    p.add_argument("--device", default="cpu")
    p.add_argument("--seed", type=int, default=0)
    for k in ("side", "patch", "max_tiles", "queries", "depth", "vis_depth", "lm_dim"):
        p.add_argument(f"--{k.replace('_', '-')}", type=int)
    main(p.parse_args())

"""Sliding-window prediction and the evaluation metrics.

    python infer.py --data data/test --checkpoint runs/best.pt --out predictions
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from data import list_cases, load_case
from network import UNet


def gaussian_window(size, sigma_fraction=0.125):
    axes = [torch.exp(-0.5 * (torch.linspace(-0.5, 0.5, n) / sigma_fraction) ** 2) for n in size]
    window = torch.outer(*axes)
    return (window / window.max()).clamp_min(1e-3)


def tile_starts(size, tile, overlap):
    if size <= tile:
        return [0]
    count = int(np.ceil((size - tile) / (tile * (1 - overlap)))) + 1
    return [int(round(v)) for v in np.linspace(0, size - tile, count)]


def mirrored_probabilities(model, x, mirror):
    flips = ((), (2,), (3,), (2, 3)) if mirror else ((),)
    return sum(model(x.flip(dims)).softmax(1).flip(dims) for dims in flips) / len(flips)


@torch.no_grad()
def predict_slice(model, image, patch_size, num_classes, overlap=0.5, mirror=True, device="cpu"):
    """image: C x H x W array -> class probabilities as a K x H x W tensor on the CPU."""
    model.eval()
    x = torch.as_tensor(image, device=device)[None]
    (h, w), (ph, pw) = x.shape[-2:], patch_size
    x = F.pad(x, (0, max(pw - w, 0), 0, max(ph - h, 0)))
    window = gaussian_window(patch_size).to(device)
    total = torch.zeros(num_classes, *x.shape[-2:], device=device)
    weight = torch.zeros(x.shape[-2:], device=device)
    for top in tile_starts(x.shape[-2], ph, overlap):
        for left in tile_starts(x.shape[-1], pw, overlap):
            rows, cols = slice(top, top + ph), slice(left, left + pw)
            total[:, rows, cols] += mirrored_probabilities(model, x[..., rows, cols], mirror)[0] * window
            weight[rows, cols] += window
    return (total / weight)[:, :h, :w].cpu()


def dice_score(pred, ref):
    size = pred.sum() + ref.sum()
    return float("nan") if size == 0 else float(2 * np.logical_and(pred, ref).sum() / size)


def hausdorff95(pred, ref, spacing=(1.0, 1.0)):
    """95th percentile of the symmetric boundary distances; NaN if both are empty, inf if one is."""
    if not pred.any() and not ref.any():
        return float("nan")
    if not pred.any() or not ref.any():
        return float("inf")
    edge_p = pred & ~ndimage.binary_erosion(pred)
    edge_r = ref & ~ndimage.binary_erosion(ref)
    to_ref = ndimage.distance_transform_edt(~edge_r, sampling=spacing)[edge_p]
    to_pred = ndimage.distance_transform_edt(~edge_p, sampling=spacing)[edge_r]
    return float(max(np.percentile(to_ref, 95), np.percentile(to_pred, 95)))


def evaluate(pairs, num_classes, spacing=(1.0, 1.0)):
    """Mean metrics per foreground class over (prediction, reference) pairs, undefined cases left out."""
    summary = {}
    for k in range(1, num_classes):
        table = np.array([(dice_score(p == k, r == k), hausdorff95(p == k, r == k, spacing)) for p, r in pairs])
        table[~np.isfinite(table)] = np.nan
        dice, hd95 = np.nanmean(table, axis=0)
        summary[k] = {"dice": float(dice), "hd95": float(hd95)}
    return summary


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--data", required=True)
    ap.add_argument("--checkpoint", required=True)
    ap.add_argument("--out", type=Path, default=Path("predictions"))
    ap.add_argument("--spacing", type=float, nargs=2, default=(1.0, 1.0), help="pixel size in mm")
    args = ap.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ckpt = torch.load(args.checkpoint, map_location=device)
    model = UNet(**ckpt["model_args"]).to(device)
    model.load_state_dict(ckpt["model"])
    classes = ckpt["model_args"]["num_classes"]

    args.out.mkdir(parents=True, exist_ok=True)
    pairs = []
    for name in list_cases(args.data):
        image, mask = load_case(args.data, name)
        prob = predict_slice(model, image, ckpt["patch_size"], classes, device=device)
        pred = prob.argmax(0).numpy().astype(np.uint8)
        np.save(args.out / f"{name}.npy", pred)
        pairs.append((pred, mask))
    summary = evaluate(pairs, classes, args.spacing)
    (args.out / "metrics.json").write_text(json.dumps(summary, indent=2))
    for k, row in summary.items():
        print(f"class {k}: dice {row['dice']:.4f}  hd95 {row['hd95']:.2f}")


if __name__ == "__main__":
    main()

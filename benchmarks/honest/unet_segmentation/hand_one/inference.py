"""Sliding-window prediction and the evaluation metrics."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion, distance_transform_edt

MIRRORS = ((), (2,), (3,), (2, 3))


def gaussian_window(size, sigma_scale=0.125):
    axes = []
    for n in size:
        x = torch.arange(n, dtype=torch.float32) - (n - 1) / 2
        axes.append(torch.exp(-0.5 * (x / (n * sigma_scale)) ** 2))
    window = axes[0][:, None] * axes[1][None, :]
    return (window / window.max()).clamp_min(1e-4)


def window_starts(size, patch, overlap):
    """Evenly spread start positions that cover [0, size) completely."""
    if size <= patch:
        return [0]
    n = math.ceil((size - patch) / (patch * (1 - overlap))) + 1
    return [round(i * (size - patch) / (n - 1)) for i in range(n)]


def predict_patch(model, patch, mirror):
    flips = MIRRORS if mirror else MIRRORS[:1]
    probs = 0
    for dims in flips:
        x = patch.flip(dims) if dims else patch
        y = model(x).softmax(dim=1)
        probs = probs + (y.flip(dims) if dims else y)
    return probs / len(flips)


@torch.no_grad()
def sliding_window(model, image, patch_size=(256, 256), overlap=0.5, mirror=True):
    """Class probabilities (K, H, W) for a normalised image (C, H, W)."""
    model.eval()
    device = next(model.parameters()).device
    h, w = image.shape[1:]
    pad_h, pad_w = max(patch_size[0] - h, 0), max(patch_size[1] - w, 0)
    x = torch.as_tensor(image, dtype=torch.float32, device=device)[None]
    top, left = pad_h // 2, pad_w // 2
    x = F.pad(x, (left, pad_w - left, top, pad_h - top))

    weight = gaussian_window(patch_size).to(device)
    total, norm = None, torch.zeros(x.shape[2:], device=device)
    for i in window_starts(x.shape[2], patch_size[0], overlap):
        for j in window_starts(x.shape[3], patch_size[1], overlap):
            rows, cols = slice(i, i + patch_size[0]), slice(j, j + patch_size[1])
            probs = predict_patch(model, x[:, :, rows, cols], mirror)[0]
            if total is None:
                total = probs.new_zeros((probs.shape[0], *x.shape[2:]))
            total[:, rows, cols] += probs * weight
            norm[rows, cols] += weight
    return (total / norm)[:, top:top + h, left:left + w]


def dice_score(pred, ref):
    size = pred.sum() + ref.sum()
    if size == 0:
        return float("nan")
    return float(2 * np.logical_and(pred, ref).sum() / size)


def hausdorff95(pred, ref, spacing=(1.0, 1.0)):
    """95th percentile of the surface distances pooled over both directions."""
    if not pred.any() and not ref.any():
        return float("nan")
    if not pred.any() or not ref.any():
        return float(np.hypot(*(n * s for n, s in zip(ref.shape, spacing))))
    edge_p = pred & ~binary_erosion(pred)
    edge_r = ref & ~binary_erosion(ref)
    to_ref = distance_transform_edt(~edge_r, sampling=spacing)[edge_p]
    to_pred = distance_transform_edt(~edge_p, sampling=spacing)[edge_r]
    return float(np.percentile(np.concatenate([to_ref, to_pred]), 95))


def evaluate_case(pred, ref, num_classes, spacing=(1.0, 1.0)):
    return {k: (dice_score(pred == k, ref == k), hausdorff95(pred == k, ref == k, spacing))
            for k in range(1, num_classes)}

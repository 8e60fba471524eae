import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def to_png(img, path):
    arr = (img.numpy() * 255 + 0.5).astype(np.uint8)
    Image.fromarray(arr).save(path)


def depth_to_png(depth, near, far, path):
    d = ((depth - near) / (far - near)).clamp(0, 1)
    to_png(1 - d, path)


def gaussian_window(size, sigma):
    x = torch.arange(size, dtype=torch.float32) - size // 2
    g = torch.exp(-x ** 2 / (2 * sigma ** 2))
    g = g / g.sum()
    return torch.outer(g, g)[None, None]


def compute_ssim(pred, gt, size=11, sigma=1.5):
    C1 = 0.01 ** 2
    C2 = 0.03 ** 2
    window = gaussian_window(size, sigma).to(pred.device)
    # HWC -> C1HW, every channel is filtered separately
    x = pred.permute(2, 0, 1)[:, None]
    y = gt.permute(2, 0, 1)[:, None]
    mu_x = F.conv2d(x, window)
    mu_y = F.conv2d(y, window)
    var_x = F.conv2d(x * x, window) - mu_x ** 2
    var_y = F.conv2d(y * y, window) - mu_y ** 2
    cov = F.conv2d(x * y, window) - mu_x * mu_y
    num = (2 * mu_x * mu_y + C1) * (2 * cov + C2)
    den = (mu_x ** 2 + mu_y ** 2 + C1) * (var_x + var_y + C2)
    return (num / den).mean().item()


def compute_psnr(pred, gt):
    mse = F.mse_loss(pred, gt).clamp_min(1e-10)
    return (-10 * torch.log10(mse)).item()

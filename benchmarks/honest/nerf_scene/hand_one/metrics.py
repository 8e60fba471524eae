"""Image quality; images are (H, W, 3) tensors in [0, 1]."""
import torch
import torch.nn.functional as F


def psnr(a, b):
    return float(-10 * torch.log10(F.mse_loss(a, b).clamp_min(1e-12)))


def ssim(a, b, size=11, sigma=1.5):
    x = torch.arange(size, dtype=torch.float32) - size // 2
    g = torch.exp(-0.5 * (x / sigma) ** 2)
    g = g / g.sum()
    kernel = torch.outer(g, g)[None, None].to(a.device)

    def blur(img):
        return F.conv2d(img, kernel)

    a, b = a.permute(2, 0, 1)[:, None], b.permute(2, 0, 1)[:, None]
    mu_a, mu_b = blur(a), blur(b)
    var_a = blur(a * a) - mu_a ** 2
    var_b = blur(b * b) - mu_b ** 2
    cov = blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    score = ((2 * mu_a * mu_b + c1) * (2 * cov + c2)
             / ((mu_a ** 2 + mu_b ** 2 + c1) * (var_a + var_b + c2)))
    return float(score.mean())

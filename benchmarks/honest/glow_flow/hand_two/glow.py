"""The multi-scale flow: likelihood, latents, sampling and interpolation."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from layers import FlowStep, ZeroConv, squeeze, unsqueeze


class Preprocess(nn.Module):
    """Bytes in 0..255 -> dequantised reals, either centred ("scale") or through a logit."""

    def __init__(self, mode="scale", bits=8, alpha=0.05):
        super().__init__()
        if mode not in ("scale", "logit"):
            raise ValueError(f"unknown preprocessing {mode!r}")
        self.mode, self.alpha = mode, alpha
        self.bits, self.bins = bits, 2 ** bits

    def forward(self, img, noise=True):
        x = torch.floor(img.float() / 2 ** (8 - self.bits))
        x = (x + (torch.rand_like(x) if noise else 0.5)) / self.bins
        dims = x[0].numel()
        logdet = x.new_full((x.size(0),), -dims * math.log(self.bins))
        if self.mode == "scale":
            return x - 0.5, logdet
        p = self.alpha + (1 - 2 * self.alpha) * x
        y = torch.log(p) - torch.log1p(-p)
        per_pixel = F.softplus(y) + F.softplus(-y) + math.log(1 - 2 * self.alpha)
        return y, logdet + per_pixel.sum(dim=(1, 2, 3))

    def inverse(self, y):
        if self.mode == "scale":
            x = y + 0.5
        else:
            x = (torch.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)
        levels = torch.floor(x * self.bins).clamp(0, self.bins - 1)
        return (levels * (256 // self.bins)).to(torch.uint8)


class GaussianPrior(nn.Module):
    """Diagonal Gaussian whose parameters come from the half that goes on (or are just learned)."""

    def __init__(self, channels, context=None):
        super().__init__()
        self.conditional = context is not None
        if self.conditional:
            self.net = ZeroConv(context, 2 * channels)
        else:
            self.params = nn.Parameter(torch.zeros(1, 2 * channels, 1, 1))

    def _params(self, context):
        out = self.net(context) if self.conditional else self.params
        return out.chunk(2, dim=1)

    def standardise(self, z, context=None):
        """Returns unit-Gaussian noise and log p(z)."""
        mean, log_std = self._params(context)
        eps = (z - mean) * (-log_std).exp()
        logp = -0.5 * (eps ** 2 + math.log(2 * math.pi)) - log_std
        return eps, logp.sum(dim=(1, 2, 3))

    def colour(self, eps, context=None):
        mean, log_std = self._params(context)
        return mean + eps * log_std.exp()


class Glow(nn.Module):
    def __init__(self, shape=(3, 32, 32), levels=3, steps=16, hidden=256, lu=True,
                 mode="scale", bits=8):
        super().__init__()
        c, h, w = shape
        if h % 2 ** levels or w % 2 ** levels:
            raise ValueError(f"{h}x{w} cannot be squeezed {levels} times")
        self.shape, self.pre = tuple(shape), Preprocess(mode, bits)
        self.levels, self.priors, self.latent_shapes = nn.ModuleList(), nn.ModuleList(), []
        for level in range(levels):
            c, h, w = c * 4, h // 2, w // 2
            self.levels.append(nn.ModuleList(FlowStep(c, hidden, lu) for _ in range(steps)))
            if level < levels - 1:
                c //= 2
                self.priors.append(GaussianPrior(c, context=c))
            else:
                self.priors.append(GaussianPrior(c))
            self.latent_shapes.append((c, h, w))

    def encode(self, img, noise=True):
        """Image bytes -> (standard-normal latents, one per level; log-likelihood in nats)."""
        x, logp = self.pre(img, noise)
        latents = []
        for level, prior in zip(self.levels, self.priors):
            x = squeeze(x)
            for step in level:
                x, logp = step(x, logp)
            if prior.conditional:
                x, z = x.chunk(2, dim=1)
                eps, lp = prior.standardise(z, x)
            else:
                eps, lp = prior.standardise(x)
            latents.append(eps)
            logp = logp + lp
        return latents, logp

    def decode(self, latents):
        x = None
        for level, prior, eps in zip(reversed(self.levels), reversed(self.priors), reversed(latents)):
            if prior.conditional:
                x = torch.cat([x, prior.colour(eps, x)], dim=1)
            else:
                x = prior.colour(eps)
            for step in reversed(level):
                x = step.inverse(x)
            x = unsqueeze(x)
        return self.pre.inverse(x)

    def bits_per_dim(self, img):
        _, logp = self.encode(img)
        return -logp / (math.log(2) * math.prod(self.shape))

    forward = bits_per_dim

    @torch.no_grad()
    def sample(self, n, temperature=0.7):
        device = next(self.parameters()).device
        return self.decode([temperature * torch.randn(n, *s, device=device) for s in self.latent_shapes])

    @torch.no_grad()
    def interpolate(self, a, b, count=8):
        """Straight line in latent space between two images of shape (C, H, W)."""
        latents, _ = self.encode(torch.stack([a, b]), noise=False)
        t = torch.linspace(0, 1, count, device=a.device).view(-1, 1, 1, 1)
        return self.decode([(1 - t) * z[:1] + t * z[1:] for z in latents])

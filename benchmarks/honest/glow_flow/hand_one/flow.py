"""The multi-scale flow: pixels to a list of latents and back, with exact likelihood."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from layers import ActNorm, Coupling, InvConv, ZeroConv, squeeze, unsqueeze


class Dequantise:
    """Integer pixels <-> real inputs, either centred in [-0.5, 0.5] or through a logit."""

    def __init__(self, bits=8, logit=False, alpha=0.05):
        self.bits, self.logit, self.alpha = bits, logit, alpha

    def forward(self, pixels, noise=True):
        levels = 2 ** self.bits
        x = torch.floor(pixels.float() / 2 ** (8 - self.bits))
        x = (x + (torch.rand_like(x) if noise else 0.5)) / levels
        logdet = torch.full((len(x),), -math.log(levels) * x[0].numel(), device=x.device)
        if not self.logit:
            return x - 0.5, logdet
        p = self.alpha + (1 - 2 * self.alpha) * x
        y = torch.log(p) - torch.log1p(-p)
        slope = math.log(1 - 2 * self.alpha) + F.softplus(y) + F.softplus(-y)
        return y, logdet + slope.flatten(1).sum(1)

    def inverse(self, y):
        """Back to uint8."""
        x = (torch.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha) if self.logit else y + 0.5
        levels = 2 ** self.bits
        x = torch.floor(x * levels).clamp(0, levels - 1)
        return (x * 2 ** (8 - self.bits)).to(torch.uint8)


class Step(nn.Module):
    def __init__(self, channels, hidden, lu):
        super().__init__()
        self.parts = nn.ModuleList(
            [ActNorm(channels), InvConv(channels, lu), Coupling(channels, hidden)])

    def forward(self, x):
        total = 0.0
        for part in self.parts:
            x, logdet = part(x)
            total = total + logdet
        return x, total

    def inverse(self, y):
        for part in reversed(self.parts):
            y = part.inverse(y)
        return y


class Prior(nn.Module):
    """Diagonal Gaussian over a latent, conditioned on what stays in the flow (if anything).

    Latents are kept as standardised noise, so the log-scale enters as a log-determinant.
    """

    def __init__(self, channels, conditional):
        super().__init__()
        self.channels = channels
        self.net = ZeroConv(channels, 2 * channels)
        self.conditional = conditional

    def stats(self, context):
        return self.net(context if self.conditional else torch.zeros_like(context)).chunk(2, 1)

    def encode(self, z, context):
        mean, log_std = self.stats(context)
        eps = (z - mean) * torch.exp(-log_std)
        logp = -0.5 * (eps.square() + math.log(2 * math.pi)) - log_std
        return eps, logp.flatten(1).sum(1)

    def decode(self, eps, context):
        mean, log_std = self.stats(context)
        return mean + eps * log_std.exp()


class Glow(nn.Module):
    def __init__(self, shape=(3, 32, 32), levels=3, steps=16, hidden=256, lu=True,
                 bits=8, logit=False):
        super().__init__()
        c, h, w = shape
        if h % 2 ** levels or w % 2 ** levels:
            raise ValueError(f"{h}x{w} cannot be halved {levels} times")
        self.bits_per_nat = 1 / (math.log(2) * c * h * w)
        self.pre = Dequantise(bits, logit)
        self.levels, self.priors = nn.ModuleList(), nn.ModuleList()
        self.latent_shapes = []
        for i in range(levels):
            c, h, w = c * 4, h // 2, w // 2
            self.levels.append(nn.ModuleList(Step(c, hidden, lu) for _ in range(steps)))
            last = i == levels - 1
            if not last:
                c //= 2
            self.priors.append(Prior(c, conditional=not last))
            self.latent_shapes.append((c, h, w))

    def encode(self, pixels, noise=True):
        """Standardised latents, finest first, and log p(pixels) in nats per sample."""
        x, logp = self.pre.forward(pixels, noise)
        latents = []
        for level, prior in zip(self.levels, self.priors):
            x = squeeze(x)
            for step in level:
                x, logdet = step(x)
                logp = logp + logdet
            x, z = x.chunk(2, dim=1) if prior.conditional else (x, x)
            eps, term = prior.encode(z, x)
            latents.append(eps)
            logp = logp + term
        return latents, logp

    def forward(self, pixels):
        """Bits per dimension of each image."""
        return -self.encode(pixels)[1] * self.bits_per_nat

    @torch.no_grad()
    def decode(self, latents):
        x = None
        for level, prior, eps in zip(reversed(self.levels), reversed(self.priors),
                                     reversed(latents)):
            if prior.conditional:
                x = torch.cat([x, prior.decode(eps, x)], dim=1)
            else:
                x = prior.decode(eps, eps)
            for step in reversed(level):
                x = step.inverse(x)
            x = unsqueeze(x)
        return self.pre.inverse(x)

    def sample(self, n, temperature=0.7):
        device = next(self.parameters()).device
        return self.decode([temperature * torch.randn(n, *s, device=device)
                            for s in self.latent_shapes])

    @torch.no_grad()
    def interpolate(self, first, second, count=8):
        """Images along the line between the latents of two (C, H, W) uint8 images."""
        latents, _ = self.encode(torch.stack([first, second]), noise=False)
        t = torch.linspace(0, 1, count, device=first.device).view(-1, 1, 1, 1)
        return self.decode([(1 - t) * z[:1] + t * z[1:] for z in latents])

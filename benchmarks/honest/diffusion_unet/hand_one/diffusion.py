"""Cosine noise schedule, v-prediction loss, and DDPM and DDIM sampling with classifier-free guidance.

Notation: x0 is a clean image in [-1, 1], x_t = a_t * x0 + s_t * noise with a_t^2 + s_t^2 = 1,
and v_t = a_t * noise - s_t * x0 (Salimans and Ho 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Denoiser = Callable[[Tensor, Tensor], Tensor]  # (x_t (B, C, H, W), t (B,)) -> v (B, C, H, W)


@dataclass(frozen=True)
class DiffusionConfig:
    """The noise schedule and the loss."""

    num_steps: int = 1000
    offset: float = 0.008  # keeps the noise of the first steps from vanishing
    max_beta: float = 0.999
    label_dropout: float = 0.1  # share of training labels replaced by the null label


@dataclass(frozen=True)
class SamplingConfig:
    """How to sample."""

    num_steps: int = 50
    guidance: float = 2.0  # 0 ignores the label, 1 is plain conditional sampling
    eta: float = 0.0  # 0 is DDIM, 1 is DDPM's noise
    clip: bool = True


class CosineSchedule(nn.Module):
    """alpha (signal) and sigma (noise) of each step, as buffers of shape (T,)."""

    alpha: Tensor
    sigma: Tensor

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        steps = torch.arange(config.num_steps + 1, dtype=torch.float64) / config.num_steps
        signal = torch.cos((steps + config.offset) / (1 + config.offset) * math.pi / 2).square()  # (T + 1,)
        betas = (1.0 - signal[1:] / signal[:-1]).clamp(max=config.max_beta)  # (T,)
        kept = torch.cumprod(1.0 - betas, dim=0)
        self.register_buffer("alpha", kept.sqrt().float(), persistent=False)
        self.register_buffer("sigma", (1.0 - kept).sqrt().float(), persistent=False)

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma of steps t (B,), each (B, 1, 1, 1); t = -1 stands for the clean image."""
        index = t.clamp(min=0)
        clean = t < 0
        alpha = torch.where(clean, 1.0, self.alpha[index])
        sigma = torch.where(clean, 0.0, self.sigma[index])
        return alpha.view(-1, 1, 1, 1), sigma.view(-1, 1, 1, 1)


class Diffusion(nn.Module):
    """A model of v, with its training loss and its samplers."""

    def __init__(self, model: nn.Module, *, null_label: int, config: DiffusionConfig | None = None) -> None:
        super().__init__()
        self.model = model
        self.null_label = null_label
        self.config = config or DiffusionConfig()
        self.schedule = CosineSchedule(self.config)

    def drop_labels(self, labels: Tensor) -> Tensor:
        """Replace a random share of labels (B,) by the null label."""
        drop = torch.rand(labels.shape, device=labels.device) < self.config.label_dropout
        return labels.masked_fill(drop, self.null_label)

    def loss(self, x0: Tensor, labels: Tensor) -> Tensor:
        """Mean squared error of v for random steps; x0 (B, C, H, W), labels (B,)."""
        t = torch.randint(self.config.num_steps, size=(x0.shape[0],), device=x0.device)
        noise = torch.randn_like(x0)
        alpha, sigma = self.schedule.at(t)
        x_t = alpha * x0 + sigma * noise
        target = alpha * noise - sigma * x0
        return F.mse_loss(self.model(x_t, t, self.drop_labels(labels)), target)

    def guided(self, labels: Tensor, *, guidance: float) -> Denoiser:
        """A denoiser that moves from the unconditional prediction towards (and past) the conditional one."""
        null = torch.full_like(labels, self.null_label)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            if guidance == 1.0:
                return self.model(x_t, t, labels)
            both = self.model(x_t.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([labels, null]))
            cond, uncond = both.chunk(2, dim=0)
            return torch.lerp(uncond, cond, guidance)

        return denoise

    def step(self, x_t: Tensor, *, v: Tensor, t: Tensor, prev: Tensor, sampling: SamplingConfig) -> Tensor:
        """Go from step t (B,) to the earlier step prev (B,); DDIM's update with noise scaled by eta."""
        alpha, sigma = self.schedule.at(t)
        alpha_prev, sigma_prev = self.schedule.at(prev)
        x0 = alpha * x_t - sigma * v
        if sampling.clip:
            x0 = x0.clamp(min=-1.0, max=1.0)
        noise = (x_t - alpha * x0) / sigma  # consistent with the clipped x0
        ratio = alpha / alpha_prev
        fresh = sampling.eta * sigma_prev / sigma * (1.0 - ratio.square()).clamp(min=0.0).sqrt()
        kept = (sigma_prev.square() - fresh.square()).clamp(min=0.0).sqrt()
        return alpha_prev * x0 + kept * noise + fresh * torch.randn_like(x_t)

    @torch.no_grad()
    def sample(self, labels: Tensor, *, shape: tuple[int, int, int], sampling: SamplingConfig) -> Tensor:
        """Labels (B,) and an image shape (C, H, W) -> images (B, C, H, W) in [-1, 1]."""
        device, batch = labels.device, labels.shape[0]
        denoise = self.guided(labels, guidance=sampling.guidance)
        times = torch.linspace(self.config.num_steps - 1, -1, sampling.num_steps + 1).round().long().tolist()
        x = torch.randn(batch, *shape, device=device)
        for now, before in pairwise(times):
            t = torch.full((batch,), now, device=device)
            prev = torch.full((batch,), before, device=device)
            x = self.step(x, v=denoise(x, t), t=t, prev=prev, sampling=sampling)
        return x.clamp(min=-1.0, max=1.0)

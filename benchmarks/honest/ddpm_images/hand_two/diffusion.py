import math

import torch
from torch import nn
import torch.nn.functional as F


def linear_schedule(steps):
    k = 1000 / steps  # the usual end points are meant for a thousand steps
    return torch.linspace(1e-4 * k, 0.02 * k, steps, dtype=torch.float64)


def cosine_schedule(steps, offset=0.008):
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    keep = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - keep[1:] / keep[:-1]).clamp(max=0.999)


SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}


class Diffusion(nn.Module):
    def __init__(self, schedule="linear", steps=1000):
        super().__init__()
        self.steps = steps
        beta = SCHEDULES[schedule](steps)
        abar = torch.cumprod(1 - beta, 0)
        abar_prev = torch.cat([abar.new_ones(1), abar[:-1]])
        tables = {"abar": abar, "post_var": beta * (1 - abar_prev) / (1 - abar),
                  "post_x0": beta * abar_prev.sqrt() / (1 - abar),
                  "post_xt": (1 - abar_prev) * (1 - beta).sqrt() / (1 - abar)}
        for name, table in tables.items():
            self.register_buffer(name, table.float(), persistent=False)

    def corrupt(self, x0, t, noise):
        a = self.abar[t].view(-1, 1, 1, 1)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise

    def loss(self, model, x0):
        t = torch.randint(self.steps, (len(x0),), device=x0.device)
        noise = torch.randn_like(x0)
        return F.mse_loss(model(self.corrupt(x0, t, noise), t), noise)

    def _predict(self, model, x, i):
        """Predicted noise and the clean image it implies, made consistent after clipping."""
        t = torch.full((len(x),), i, device=x.device, dtype=torch.long)
        a = self.abar[i]
        x0 = (x - (1 - a).sqrt() * model(x, t)) / a.sqrt()
        x0 = x0.clamp(-1, 1)
        return (x - a.sqrt() * x0) / (1 - a).sqrt(), x0

    @torch.no_grad()
    def ancestral(self, model, shape):
        x = torch.randn(shape, device=self.abar.device)
        for i in range(self.steps - 1, -1, -1):
            _, x0 = self._predict(model, x, i)
            x = self.post_x0[i] * x0 + self.post_xt[i] * x
            if i:
                x = x + self.post_var[i].sqrt() * torch.randn_like(x)
        return x

    @torch.no_grad()
    def ddim(self, model, shape, steps=50, eta=0.0):
        x = torch.randn(shape, device=self.abar.device)
        path = torch.linspace(self.steps - 1, 0, steps).round().long().tolist()
        for here, there in zip(path, path[1:] + [None]):
            eps, x0 = self._predict(model, x, here)
            if there is None:
                return x0
            a, b = self.abar[here], self.abar[there]
            sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
            x = b.sqrt() * x0 + (1 - b - sigma ** 2).clamp(min=0).sqrt() * eps
            if eta > 0:
                x = x + sigma * torch.randn_like(x)

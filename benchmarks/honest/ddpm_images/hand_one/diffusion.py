import math

import torch
import torch.nn.functional as F


def beta_schedule(kind, steps):
    if kind == "linear":
        # The usual end points are meant for 1000 steps.
        scale = 1000 / steps
        return torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64).clamp(max=0.999)
    if kind == "cosine":
        s = 0.008
        u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        signal = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
        return (1 - signal[1:] / signal[:-1]).clamp(max=0.999)
    raise ValueError(f"unknown schedule: {kind}")


class Diffusion:
    def __init__(self, steps=1000, schedule="linear", device="cpu"):
        self.steps = steps
        self.device = device
        beta = beta_schedule(schedule, steps)
        signal = torch.cumprod(1 - beta, 0)
        before = torch.cat((torch.ones(1, dtype=signal.dtype), signal[:-1]))
        # posterior q(x_{t-1} | x_t, x_0)
        self.var = (beta * (1 - before) / (1 - signal)).float().to(device)
        self.coef_x0 = (beta * before.sqrt() / (1 - signal)).float().to(device)
        self.coef_xt = ((1 - before) * (1 - beta).sqrt() / (1 - signal)).float().to(device)
        self.signal = signal.float().to(device)

    def at(self, values, t):
        return values[t].view(-1, 1, 1, 1)

    def add_noise(self, x0, t, noise):
        a = self.at(self.signal, t)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise

    def loss(self, model, x0):
        t = torch.randint(self.steps, (len(x0),), device=x0.device)
        noise = torch.randn_like(x0)
        return F.mse_loss(model(self.add_noise(x0, t, noise), t), noise)

    def predict(self, model, x, t):
        """Noise prediction and the clean image it implies."""
        eps = model(x, t)
        a = self.at(self.signal, t)
        x0 = ((x - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-1, 1)
        return eps, x0

    @torch.no_grad()
    def ancestral(self, model, shape):
        x = torch.randn(shape, device=self.device)
        for i in reversed(range(self.steps)):
            t = torch.full((shape[0],), i, device=self.device)
            _, x0 = self.predict(model, x, t)
            x = self.at(self.coef_x0, t) * x0 + self.at(self.coef_xt, t) * x
            if i > 0:
                x = x + self.at(self.var, t).sqrt() * torch.randn_like(x)
        return x

    @torch.no_grad()
    def ddim(self, model, shape, steps=50, eta=0.0):
        x = torch.randn(shape, device=self.device)
        times = torch.linspace(self.steps - 1, 0, steps).round().long().tolist()
        for now, nxt in zip(times, times[1:] + [-1]):
            t = torch.full((shape[0],), now, device=self.device)
            _, x0 = self.predict(model, x, t)
            a = self.signal[now]
            a_next = self.signal[nxt] if nxt >= 0 else torch.ones_like(a)
            # Recompute the noise so that it agrees with the clipped image.
            eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
            sigma = eta * ((1 - a_next) / (1 - a) * (1 - a / a_next)).sqrt()
            x = a_next.sqrt() * x0 + (1 - a_next - sigma**2).clamp(min=0).sqrt() * eps
            x = x + sigma * torch.randn_like(x)
        return x

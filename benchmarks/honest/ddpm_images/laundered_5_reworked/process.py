import torch
import torch.nn.functional as F

from utils import get_betas


class GaussianProcess:

    def __init__(self, steps=1000, schedule='cosine', device='cpu'):
        self.device = device
        self.steps = steps

        beta = get_betas(schedule, steps)
        alpha = 1 - beta
        alpha_bar = torch.cumprod(alpha, 0)
        alpha_bar_prev = torch.cat([torch.ones(1, dtype=alpha_bar.dtype), alpha_bar[:-1]])

        self.alpha_bar = alpha_bar.float().to(device)
        # mean and variance of the reverse step
        self.coef_x0 = (beta * alpha_bar_prev.sqrt() / (1 - alpha_bar)).float().to(device)
        self.coef_xt = ((1 - alpha_bar_prev) * alpha.sqrt() / (1 - alpha_bar)).float().to(device)
        self.var = (beta * (1 - alpha_bar_prev) / (1 - alpha_bar)).float().to(device)

    def gather(self, values, t):
        return values[t][:, None, None, None]

    def predict(self, model, x, t):
        a = self.gather(self.alpha_bar, t)
        eps = model(x, t)
        x0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        return x0.clamp(-1, 1)

    @torch.no_grad()
    def ddim(self, model, shape, steps=100):
        x = torch.randn(shape, device=self.device)
        times = torch.linspace(self.steps - 1, 0, steps).round().long().tolist()
        for cur, nxt in zip(times, times[1:] + [-1]):
            t = torch.full((shape[0],), cur, device=self.device)
            x0 = self.predict(model, x, t)
            a = self.alpha_bar[cur]
            if nxt >= 0:
                a_next = self.alpha_bar[nxt]
            else:
                a_next = torch.ones_like(a)
            # x0 was clamped, so get eps again from it
            eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
            x = a_next.sqrt() * x0 + (1 - a_next).sqrt() * eps
        return x

    @torch.no_grad()
    def sample_ddpm(self, model, shape):
        x = torch.randn(shape, device=self.device)
        for i in range(self.steps - 1, -1, -1):
            t = torch.full((shape[0],), i, device=self.device)
            x0 = self.predict(model, x, t)
            mean = self.gather(self.coef_x0, t) * x0 + self.gather(self.coef_xt, t) * x
            if i == 0:
                x = mean
            else:
                x = mean + self.gather(self.var, t).sqrt() * torch.randn_like(x)
        return x

    def add_noise(self, x0, t, noise):
        a = self.gather(self.alpha_bar, t)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise

    def loss(self, model, x0):
        noise = torch.randn_like(x0)
        t = torch.randint(0, self.steps, (x0.shape[0],), device=x0.device)
        x_t = self.add_noise(x0, t, noise)
        pred = model(x_t, t)
        return F.mse_loss(pred, noise)

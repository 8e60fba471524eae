"""Forward and reverse process as functions around a network."""

import math

import torch

T_DEFAULT = 1000
S_DEFAULT = 8e-3
BETA_CAP = 0.999


def squared_cosine(u, s=S_DEFAULT):
    return torch.cos(0.5 * math.pi * (u + s) / (1 + s)) ** 2


def make_tables(T=T_DEFAULT, s=S_DEFAULT, cap=BETA_CAP):
    """Two tensors of length T: the factor of the image and the factor of the noise."""
    f = squared_cosine(torch.linspace(0, 1, T + 1, dtype=torch.float64), s)
    beta = torch.minimum(1.0 - f[1:] / f[:-1], torch.tensor(cap, dtype=torch.float64))
    abar = (1.0 - beta).cumprod(0)
    return torch.sqrt(abar).to(torch.float32), torch.sqrt(1.0 - abar).to(torch.float32)


def gather(tables, t):
    """Table rows for t, shaped to multiply images; negative t is the noiseless end."""
    a_tab, s_tab = (tab.to(t.device) for tab in tables)
    safe = torch.clamp_min(t, 0)
    a, s = a_tab[safe], s_tab[safe]
    neg = t.lt(0)
    a = a.masked_fill(neg, 1.0)
    s = s.masked_fill(neg, 0.0)
    return a[:, None, None, None], s[:, None, None, None]


def training_loss(net, tables, x, y, null_id, p_drop=0.1):
    n = x.size(0)
    t = torch.randint(0, tables[0].numel(), (n,), device=x.device)
    eps = torch.randn_like(x)
    a, s = gather(tables, t)
    hide = torch.rand_like(y, dtype=torch.float32) < p_drop
    y = torch.where(hide, torch.full_like(y, null_id), y)
    pred = net(a * x + s * eps, t, y)
    err = pred - (a * eps - s * x)
    return torch.mean(err * err)


def cfg_velocity(net, x, t, y, null_id, w):
    """Classifier-free guidance in one batched call."""
    if w != 1.0:
        x2 = torch.cat((x, x))
        t2 = torch.cat((t, t))
        y2 = torch.cat((y, torch.full_like(y, null_id)))
        v = net(x2, t2, y2)
        v_c, v_u = v[: len(x)], v[len(x) :]
        return v_u + w * (v_c - v_u)
    return net(x, t, y)


def to_x_and_eps(x_t, v, a, s, clip=True):
    """Split a noisy image into the image and the noise that v implies."""
    x = a * x_t - s * v
    if clip:
        x = torch.clamp(x, -1.0, 1.0)
    eps = (x_t - a * x) / s
    return x, eps


def reverse_step(tables, x_t, v, t, t_next, eta=0.0, clip=True):
    a, s = gather(tables, t)
    a_n, s_n = gather(tables, t_next)
    x, eps = to_x_and_eps(x_t, v, a, s, clip)
    gain = torch.clamp_min(1.0 - (a / a_n) ** 2, 0.0)
    sd = eta * s_n / s * torch.sqrt(gain)
    direction = torch.sqrt(torch.clamp_min(s_n**2 - sd**2, 0.0))
    out = direction * eps
    out = out + a_n * x
    out = out + sd * torch.randn_like(x_t)
    return out


def time_grid(T, n):
    grid = torch.linspace(T - 1, -1, n + 1)
    return [int(g) for g in torch.round(grid)]


def generate(net, tables, y, size, null_id, n=50, w=2.0, eta=0.0, clip=True):
    with torch.no_grad():
        b = y.size(0)
        grid = time_grid(tables[0].numel(), n)
        img = torch.randn((b,) + tuple(size), device=y.device)
        for i in range(n):
            t = y.new_full((b,), grid[i])
            t_next = y.new_full((b,), grid[i + 1])
            v = cfg_velocity(net, img, t, y, null_id, w)
            img = reverse_step(tables, img, v, t, t_next, eta, clip)
        return torch.clamp(img, -1.0, 1.0)

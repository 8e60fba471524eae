"""Invertible maps x -> z. Every forward gives (y, log|det|) with the log-determinant per sample, every
inverse gives x alone."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class ActNorm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(1, c, 1, 1))
        self.s = nn.Parameter(torch.zeros(1, c, 1, 1))      # log scale
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x):
        if self.training and not self.ready:
            with torch.no_grad():       # first batch leaves with mean 0 and variance 1
                v, m = torch.var_mean(x, (0, 2, 3), keepdim=True, unbiased=False)
                self.b.copy_(-m)
                self.s.copy_(-0.5 * torch.log(v + 1e-6))
                self.ready.fill_(True)
        n = x.shape[2] * x.shape[3]
        return (x + self.b) * self.s.exp(), (n * self.s.sum()).expand(len(x))

    def inverse(self, y):
        return y * (-self.s).exp() - self.b


class Mix(nn.Module):
    """1x1 convolution with a matrix W, started at a random rotation; W = P L (U + diag) if lu."""
    def __init__(self, c, lu=True):
        super().__init__()
        self.lu = lu
        Q, R = torch.linalg.qr(torch.randn(c, c, dtype=torch.float64))
        Q = Q * R.diagonal().sign()     # Haar measure
        if lu:
            P, L, U = torch.linalg.lu(Q)
            d = U.diagonal()
            self.register_buffer("P", P.float())
            self.register_buffer("sg", d.sign().float())
            self.L = nn.Parameter(L.tril(-1).float())
            self.U = nn.Parameter(U.triu(1).float())
            self.d = nn.Parameter(d.abs().log().float())
        else:
            self.W = nn.Parameter(Q.float())

    def parts(self):
        L = self.L.tril(-1) + torch.eye(len(self.d), device=self.d.device)
        return L, self.U.triu(1) + torch.diag(self.sg * self.d.exp())

    def forward(self, x):
        if self.lu:
            L, U = self.parts()
            W, ld = self.P @ L @ U, self.d.sum()
        else:
            W, ld = self.W, torch.linalg.slogdet(self.W.double())[1].float()
        return F.conv2d(x, W[:, :, None, None]), (x.shape[2] * x.shape[3] * ld).expand(len(x))

    def inverse(self, y):
        B, c, H, W = y.shape
        v = y.transpose(0, 1).reshape(c, -1)
        if self.lu:     # two triangular solves rather than an inverse
            L, U = self.parts()
            v = torch.linalg.solve_triangular(L, self.P.T @ v, upper=False, unitriangular=True)
            v = torch.linalg.solve_triangular(U, v, upper=True)
        else:
            v = torch.linalg.solve(self.W, v)
        return v.reshape(c, B, H, W).transpose(0, 1)


class Zero(nn.Module):
    """3x3 convolution starting at zero, with a learned gain per channel."""
    def __init__(self, a, b):
        super().__init__()
        self.f = nn.Conv2d(a, b, 3, padding=1)
        self.g = nn.Parameter(torch.zeros(1, b, 1, 1))
        nn.init.zeros_(self.f.weight)
        nn.init.zeros_(self.f.bias)

    def forward(self, x):
        return self.f(x) * (3.0 * self.g).exp()


class Couple(nn.Module):
    def __init__(self, c, w, lim=2.0):
        super().__init__()
        self.k, self.lim = c // 2, lim
        h = [nn.Conv2d(self.k, w, 3, padding=1), nn.Conv2d(w, w, 1)]
        for m in h:
            nn.init.normal_(m.weight, 0.0, 0.05)
            nn.init.zeros_(m.bias)
        self.f = nn.Sequential(h[0], nn.ReLU(), h[1], nn.ReLU(), Zero(w, 2 * (c - self.k)))

    def st(self, a):
        s, t = self.f(a).chunk(2, 1)
        return self.lim * torch.tanh(s / self.lim), t       # bounded log scale, identity at the start

    def forward(self, x):
        a, b = x[:, :self.k], x[:, self.k:]
        s, t = self.st(a)
        return torch.cat((a, (b + t) * s.exp()), 1), s.sum((1, 2, 3))

    def inverse(self, y):
        a, b = y[:, :self.k], y[:, self.k:]
        s, t = self.st(a)
        return torch.cat((a, b * (-s).exp() - t), 1)


def normal(z, m, s):
    """log N(z; m, e^s) summed over all but the batch."""
    return (-0.5 * (math.log(2 * math.pi) + 2 * s + (z - m) ** 2 * (-2 * s).exp())).sum((1, 2, 3))


class Glow(nn.Module):
    def __init__(self, c=3, size=32, levels=3, K=24, w=384, lu=True, alpha=0.05, bits=8):
        super().__init__()
        assert size % 2 ** levels == 0
        self.size, self.c, self.alpha, self.q = size, c, alpha, 2 ** bits
        self.steps, self.prior, self.zs = nn.ModuleList(), nn.ModuleList(), []
        for l in range(levels):
            c, size = 4 * c, size // 2
            self.steps.append(nn.ModuleList(g for _ in range(K) for g in (ActNorm(c), Mix(c, lu), Couple(c, w))))
            if l < levels - 1:      # half of the channels leave here, their law depends on the other half
                c = c // 2
                self.prior.append(Zero(c, 2 * c))
            self.zs.append((c, size, size))
        self.top = nn.Parameter(torch.zeros(1, 2 * c, 1, 1))

    def pre(self, x):
        """x integer levels 0..255 as a float tensor -> logit space."""
        B, n = len(x), x[0].numel()
        u = torch.floor(x * self.q / 256.0)
        u = (u + torch.rand_like(u)) / self.q
        if self.alpha <= 0:         # merely shifted
            return u - 0.5, torch.full((B,), -n * math.log(self.q), device=x.device)
        p = self.alpha + (1 - 2 * self.alpha) * u
        ld = (-torch.log(p) - torch.log1p(-p)).sum((1, 2, 3))
        return torch.log(p) - torch.log1p(-p), ld + n * (math.log(1 - 2 * self.alpha) - math.log(self.q))

    def post(self, y):
        u = y + 0.5 if self.alpha <= 0 else (y.sigmoid() - self.alpha) / (1 - 2 * self.alpha)
        return (u.clamp(0, 1 - 1e-6) * self.q).floor() / (self.q - 1)

    def encode(self, x):
        """-> list of z, one per level, in units of its prior; and log p(x) in nats."""
        x, lp = self.pre(x)
        Z = []
        for l, L in enumerate(self.steps):
            x = F.pixel_unshuffle(x, 2)
            for g in L:
                x, ld = g(x)
                lp = lp + ld
            if l < len(self.prior):
                x, z = x.chunk(2, 1)
                m, s = self.prior[l](x).chunk(2, 1)
            else:
                z = x
                m, s = self.top.chunk(2, 1)
            lp = lp + normal(z, m, s.expand_as(z))
            Z.append((z - m) * (-s).exp())
        return Z, lp

    def decode(self, Z):
        """Inverse of encode; Z whitened."""
        for l in reversed(range(len(self.steps))):
            if l < len(self.prior):
                m, s = self.prior[l](x).chunk(2, 1)
                x = torch.cat((x, m + s.exp() * Z[l]), 1)
            else:
                m, s = self.top.chunk(2, 1)
                x = m + s.exp() * Z[l]
            for g in reversed(self.steps[l]):
                x = g.inverse(x)
            x = F.pixel_shuffle(x, 2)
        return self.post(x)

    def bpd(self, x):
        return -self.encode(x)[1] / (math.log(2.0) * x[0].numel())

    @torch.no_grad()
    def sample(self, n, T=0.7):
        d = self.top.device
        return self.decode([T * torch.randn(n, *s, device=d) for s in self.zs])

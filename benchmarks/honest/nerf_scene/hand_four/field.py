"""The network and the quadrature along rays."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def gam(x, L):
    """x, sin 2^k x, cos 2^k x for k < L."""
    w = 2.0 ** torch.arange(L, device=x.device, dtype=x.dtype)
    y = (x[..., None, :] * w[:, None]).flatten(-2)
    return torch.cat((x, y.sin(), y.cos()), -1)


class Field(nn.Module):
    def __init__(self, Lx=10, Ld=4, w=256, n=8, skip=4):
        super().__init__()
        self.Lx, self.Ld, self.skip = Lx, Ld, skip
        nx, nd = 3 + 6 * Lx, 3 + 6 * Ld
        # the encoded position enters again after layer `skip`
        self.A = nn.ModuleList(
            nn.Linear(nx if k == 0 else w + nx * (k == skip + 1), w) for k in range(n))
        self.sig = nn.Linear(w, 1)
        self.mid = nn.Linear(w, w)
        self.col = nn.Sequential(nn.Linear(w + nd, w // 2), nn.ReLU(), nn.Linear(w // 2, 3))

    def forward(self, x, d):
        g = gam(x, self.Lx)
        h = g
        for k, a in enumerate(self.A):
            h = F.relu(a(torch.cat((g, h), -1) if k == self.skip + 1 else h))
        s = self.sig(h)[..., 0]
        c = self.col(torch.cat((self.mid(h), gam(d, self.Ld)), -1))
        return s, c.sigmoid()


def quad(s, c, t, dn, white=True, noise=0.0):
    """Volume rendering integral. s (R,S) raw density, c (R,S,3), t (R,S), dn (R,1) ray length scale."""
    dt = torch.cat((t[:, 1:] - t[:, :-1], torch.full_like(t[:, :1], 1e10)), -1) * dn
    if noise > 0:
        s = s + noise * torch.randn_like(s)
    tau = F.relu(s) * dt
    # transmittance from the exclusive sum of optical depth
    Tr = torch.exp(-torch.cumsum(tau[:, :-1], -1))
    Tr = torch.cat((torch.ones_like(t[:, :1]), Tr), -1)
    w = Tr * -torch.expm1(-tau)
    C = (w[..., None] * c).sum(-2)
    A = w.sum(-1)
    if white:
        C = C + (1.0 - A)[:, None]
    z = (w * t).sum(-1) / A.clamp_min(1e-8)
    return C, A, z, w


def inv_cdf(b, w, n, det):
    """n draws from the piecewise constant density with edges b (R,M+1) and weights w (R,M)."""
    w = w + 1e-5
    P = torch.cumsum(w / w.sum(-1, keepdim=True), -1)
    P = torch.cat((torch.zeros_like(P[:, :1]), P), -1)
    if det:
        u = ((torch.arange(n, device=b.device, dtype=b.dtype) + 0.5) / n).expand(len(b), n).contiguous()
    else:   # stratified in u too, less variance for nothing
        u = (torch.arange(n, device=b.device, dtype=b.dtype) + torch.rand(len(b), n, device=b.device)) / n
    i = torch.searchsorted(P, u, right=True).clamp(1, P.shape[1] - 1)
    P0, P1, b0, b1 = P.gather(1, i - 1), P.gather(1, i), b.gather(1, i - 1), b.gather(1, i)
    return b0 + (b1 - b0) * ((u - P0) / (P1 - P0).clamp_min(1e-8)).clamp(0, 1)


def trace(fc, ff, o, d, c, train):
    """Rays o, d (R,3) -> results of the coarse and of the fine pass."""
    R, n = len(o), c["nc"]
    dn = d.norm(dim=-1, keepdim=True)
    v = d / dn
    e = torch.linspace(c["near"], c["far"], n + 1, device=o.device)
    r = torch.rand(R, n, device=o.device) if train else torch.full((R, n), 0.5, device=o.device)
    t = e[:-1] + (e[1:] - e[:-1]) * r
    sg = c["noise"] if train else 0.0

    def run(f, t):
        x = o[:, None] + d[:, None] * t[..., None]
        s, k = f(x, v[:, None].expand_as(x))
        return quad(s, k, t, dn, c["white"], sg)

    q0 = run(fc, t)
    m = 0.5 * (t[:, 1:] + t[:, :-1])
    tf = inv_cdf(m, q0[3][:, 1:-1].detach(), c["nf"], not train)
    q1 = run(ff, torch.sort(torch.cat((t, tf), -1), -1)[0])
    return q0, q1


@torch.no_grad()
def picture(fc, ff, o, d, c):
    """Whole image in chunks -> (H,W,3), depth (H,W)."""
    H, W = o.shape[:2]
    o, d = o.reshape(-1, 3), d.reshape(-1, 3)
    Q = [trace(fc, ff, o[i:i + c["chunk"]], d[i:i + c["chunk"]], c, False)[1] for i in range(0, len(o), c["chunk"])]
    return torch.cat([q[0] for q in Q]).reshape(H, W, 3).clamp(0, 1), torch.cat([q[2] for q in Q]).reshape(H, W)

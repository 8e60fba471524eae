"""pointnet++ as functions over a dict of parameters `p` and a dict of running statistics `s`."""
import torch
import torch.nn.functional as F

# a stage: number of centres, then one (radius, neighbours, widths) per scale; centres=0 pools everything
archs = {
    "ssg": [(512, [(0.2, 32, [64, 64, 128])]),
            (128, [(0.4, 64, [128, 128, 256])]),
            (0, [(None, None, [256, 512, 1024])])],
    "msg": [(512, [(0.1, 16, [32, 32, 64]), (0.2, 32, [64, 64, 128]), (0.4, 96, [64, 96, 128])]),
            (128, [(0.2, 32, [64, 64, 128]), (0.4, 64, [128, 128, 256]), (0.8, 96, [128, 128, 256])]),
            (0, [(None, None, [256, 512, 1024])])],
}
head = [512, 256]


def take(x, idx):
    """x (b,n,c), idx (b,...) -> (b,...,c)"""
    b = torch.arange(len(x), device=x.device).view(-1, *[1] * (idx.dim() - 1))
    return x[b, idx]


def dist2(a, b):
    ab = torch.einsum("bmc,bnc->bmn", a, b)
    return ((a ** 2).sum(-1)[:, :, None] + (b ** 2).sum(-1)[:, None] - 2 * ab).clamp_min(0)


@torch.no_grad()
def fps(xyz, m, rand=False):
    """greedy farthest points, (b,n,3) -> (b,m) indices"""
    b, n, _ = xyz.shape
    far = torch.randint(n, (b,), device=xyz.device) if rand else torch.zeros(b, dtype=torch.long, device=xyz.device)
    near, out = xyz.new_full((b, n), float("inf")), []
    for _ in range(m):
        out.append(far)
        near = torch.minimum(near, ((xyz - take(xyz, far[:, None])) ** 2).sum(-1))
        far = near.argmax(-1)
    return torch.stack(out, 1)


@torch.no_grad()
def ball(xyz, ctr, r, k):
    """first k points inside radius r of each centre, short balls padded with their first member"""
    n = xyz.shape[1]
    d = dist2(ctr, xyz)
    idx = torch.arange(n, device=xyz.device).expand_as(d).masked_fill(d > r * r, n)
    idx = idx.topk(min(k, n), -1, largest=False, sorted=True)[0]
    one = torch.where(idx[..., :1] == n, d.argmin(-1, keepdim=True), idx[..., :1])
    return torch.where(idx == n, one, idx)


def layer(p, s, name, i, o, norm=True):
    p[name + ".w"] = torch.randn(o, i) * (2 / i) ** 0.5
    if norm:
        p[name + ".g"], p[name + ".b"] = torch.ones(o), torch.zeros(o)
        s[name + ".mu"], s[name + ".var"] = torch.zeros(o), torch.ones(o)
    else:
        p[name + ".w"] *= 0.1
        p[name + ".b"] = torch.zeros(o)
    return o


def init(arch, ncls, ch=3, dev="cpu"):
    p, s, c = {}, {}, ch - 3
    for i, (_, scales) in enumerate(archs[arch]):
        outs = []
        for j, (_, _, ws) in enumerate(scales):
            w = c + 3
            for l, o in enumerate(ws):
                w = layer(p, s, f"sa{i}.{j}.{l}", w, o)
            outs.append(w)
        c = sum(outs)
    for l, o in enumerate(head):
        c = layer(p, s, f"fc{l}", c, o)
    layer(p, s, "out", c, ncls, norm=False)
    return {k: v.to(dev).requires_grad_() for k, v in p.items()}, {k: v.to(dev) for k, v in s.items()}


def unit_fn(p, s, train, mom):
    """closure: name, x -> relu(bn(x w)) over the last axis, shared by all leading axes"""
    def f(name, x):
        y = torch.einsum("...i,oi->...o", x, p[name + ".w"])
        z = F.batch_norm(y.flatten(0, -2), s[name + ".mu"], s[name + ".var"],
                         p[name + ".g"], p[name + ".b"], train, mom)
        return F.relu(z).view_as(y)
    return f


def abstract(f, i, stage, xyz, feat, rand):
    m, scales = stage
    ctr = take(xyz, fps(xyz, m, rand)) if m else None
    outs = []
    for j, (r, k, ws) in enumerate(scales):
        if m:
            idx = ball(xyz, ctr, r, k)
            h = take(xyz, idx) - ctr[:, :, None]
            h = h if feat is None else torch.cat([h, take(feat, idx)], -1)
        else:
            h = (xyz if feat is None else torch.cat([xyz, feat], -1))[:, None]
        for l in range(len(ws)):
            h = f(f"sa{i}.{j}.{l}", h)
        outs.append(h.amax(2))
    return ctr, torch.cat(outs, -1)


def forward(p, s, x, arch="ssg", train=False, mom=0.1, pdrop=0.4):
    f = unit_fn(p, s, train, mom)
    xyz, feat = x[..., :3].contiguous(), x[..., 3:] if x.shape[-1] > 3 else None
    for i, stage in enumerate(archs[arch]):
        xyz, feat = abstract(f, i, stage, xyz, feat, train)
    h = feat[:, 0]
    for l in range(len(head)):
        h = F.dropout(f(f"fc{l}", h), pdrop, train)
    return torch.einsum("bi,oi->bo", h, p["out.w"]) + p["out.b"]


def smooth_ce(z, y, eps=0.1):
    lp, c = F.log_softmax(z, -1), z.shape[-1]
    t = torch.full_like(lp, eps / c).scatter_add_(1, y[:, None], torch.full_like(lp[:, :1], 1 - eps))
    return -torch.einsum("bc,bc->b", t, lp).mean()

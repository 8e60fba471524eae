"""Message passing on a batch of molecules, as plain functions of a flat dict of tensors.

    h_i <- h_i + MLP[ (1 + eps) h_i + sum_{j -> i} relu(h_j + e_ji) ]        (GIN with bond terms)
    v_g <- v_g + MLP[ v_g + sum_{i in g} h_i ]                               (virtual node)

Letters in shapes: n atoms, m directed bonds, G molecules, d width, L layers, K pooling heads, T tasks.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from molecules import ATOM_SIZES, BOND_SIZES


@dataclass(frozen=True)
class NetConfig:
    tasks: int
    width: int = 192
    layers: int = 5
    heads: int = 4
    dropout: float = 0.2
    jump: str = "concat"  # concat | max | last


def init(c, seed=0):
    g = torch.Generator().manual_seed(seed)
    d = c.width
    p = {}

    def normal(name, *shape, std):
        p[name] = std * torch.randn(*shape, generator=g)

    def mlp(name, a, b, out):
        normal(f"{name}.w1", a, b, std=(2 / a) ** 0.5)
        normal(f"{name}.w2", b, out, std=b**-0.5)
        p[f"{name}.b1"], p[f"{name}.b2"] = torch.zeros(b), torch.zeros(out)

    def scale(name):
        p[f"{name}.gain"], p[f"{name}.bias"] = torch.ones(d), torch.zeros(d)

    for k, s in enumerate(ATOM_SIZES):
        normal(f"atom{k}", s, d, std=len(ATOM_SIZES) ** -0.5)
    p["virtual"] = torch.zeros(d)
    for l in range(c.layers):
        for k, s in enumerate(BOND_SIZES):
            normal(f"{l}.bond{k}", s, d, std=0.5)
        p[f"{l}.eps"] = torch.zeros(())
        mlp(f"{l}.atom", d, 2 * d, d)
        scale(f"{l}.atom")
        if l < c.layers - 1:  # the last virtual state would be read by nobody
            mlp(f"{l}.virtual", d, 2 * d, d)
            scale(f"{l}.virtual")
    if c.jump == "concat":
        normal("jump", c.layers + 1, d, d, std=((c.layers + 1) * d) ** -0.5)
    normal("gate", d, c.heads, std=d**-0.5)
    normal("value", d, c.heads, d // c.heads, std=d**-0.5)
    mlp("head", c.heads * (d // c.heads), d, c.tasks)
    return {k: t.requires_grad_() for k, t in p.items()}


def embed(p, prefix, x):  # (n, columns) -> (n, d)
    return sum(p[f"{prefix}{k}"][x[:, k]] for k in range(x.shape[1]))


def scatter_sum(x, index, size):  # (n, ...), (n,) -> (size, ...)
    return x.new_zeros(size, *x.shape[1:]).index_add(0, index, x)


def scatter_softmax(x, index, size):
    """Softmax of (n, K) over the rows that share an index."""
    top = x.new_full((size, x.shape[1]), -torch.inf)
    top = top.scatter_reduce(0, index[:, None].expand_as(x), x.detach(), "amax")
    w = (x - top[index]).exp()
    return w / scatter_sum(w, index, size)[index]


def mlp(p, name, x):
    return F.relu(x @ p[f"{name}.w1"] + p[f"{name}.b1"]) @ p[f"{name}.w2"] + p[f"{name}.b2"]


def norm(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.gain"], p[f"{name}.bias"])


def jump(p, c, hs):  # list of L+1 (n, d) -> (n, d)
    if c.jump == "concat":
        return torch.einsum("lnd,lde->ne", torch.stack(hs), p["jump"])
    if c.jump == "max":
        return torch.stack(hs).amax(0)
    return hs[-1]


def pool(p, h, owner, size):  # (n, d) -> (G, d)
    a = scatter_softmax(h @ p["gate"], owner, size)  # (n, K)
    v = torch.einsum("nd,dkf->nkf", h, p["value"])
    return scatter_sum(a[..., None] * v, owner, size).flatten(1)


def forward(p, c, batch, train=False):
    """Logits (G, T)."""
    size = len(batch.labels)
    src, dst = batch.ends
    h = embed(p, "atom", batch.atoms)
    v = p["virtual"].expand(size, -1)  # (G, d)
    hs = [h]
    for l in range(c.layers):
        h = h + v[batch.owner]
        e = embed(p, f"{l}.bond", batch.bonds)
        m = scatter_sum(F.relu(h[src] + e), dst, len(h))
        u = norm(p, f"{l}.atom", mlp(p, f"{l}.atom", (1 + p[f"{l}.eps"]) * h + m))
        if l < c.layers - 1:
            s = v + scatter_sum(h, batch.owner, size)
            v = v + F.dropout(F.relu(norm(p, f"{l}.virtual", mlp(p, f"{l}.virtual", s))), c.dropout, train)
            u = F.relu(u)
        h = h + F.dropout(u, c.dropout, train)
        hs.append(h)
    g = pool(p, jump(p, c, hs), batch.owner, size)
    return mlp(p, "head", F.dropout(g, c.dropout, train))

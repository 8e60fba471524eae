"""every model is a pair: dict of tensors, and f(p, batch, train) -> (batch, out)"""
import torch
import torch.nn.functional as F


def uni(*s, fan):
    return (torch.rand(*s) * 2 - 1) * fan ** -0.5


def lin(name, i, o):
    return {f"{name}.w": uni(i, o, fan=i), f"{name}.b": torch.zeros(o)}


def norm(name, d):
    return {f"{name}.ln.g": torch.ones(d), f"{name}.ln.b": torch.zeros(d)}


def mm(p, name, x):
    return torch.einsum("...i,io->...o", x, p[f"{name}.w"]) + p[f"{name}.b"]


def ln(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.ln.g"], p[f"{name}.ln.b"])


def offsets(sizes):
    return torch.tensor([sum(sizes[:i]) for i in range(len(sizes))], dtype=torch.long)


def reglu(x):
    a, b = x.chunk(2, -1)
    return a * F.relu(b)


def tok_init(info, d):
    n, k = info["nnum"], len(info["sizes"])
    return {
        "tok.cls": uni(d, fan=d),
        "tok.num": uni(n, d, fan=d),
        "tok.miss": uni(n, d, fan=d),
        "tok.cat": uni(sum(info["sizes"]), d, fan=d),
        "tok.bias": uni(n + k, d, fan=d),
    }


def tokens(p, b, off):
    """cls first, then one token for each column; a missing number has a vector of its own"""
    x = torch.einsum("bn,nd->bnd", b["x"], p["tok.num"]) + torch.einsum("bn,nd->bnd", b["m"], p["tok.miss"])
    c = p["tok.cat"][b["c"] + off.to(b["c"].device)]
    cls = p["tok.cls"].expand(len(x), 1, -1)
    return torch.cat([cls, torch.cat([x, c], 1) + p["tok.bias"]], 1)


def attend(p, name, q, kv, heads, drop, train):
    cut = lambda t: t.unflatten(-1, (heads, -1))
    a, k, v = cut(mm(p, f"{name}.q", q)), cut(mm(p, f"{name}.k", kv)), cut(mm(p, f"{name}.v", kv))
    w = torch.einsum("bihe,bjhe->bhij", a, k) * a.shape[-1] ** -0.5
    w = F.dropout(w.softmax(-1), drop, train)
    return mm(p, f"{name}.o", torch.einsum("bhij,bjhe->bihe", w, v).flatten(-2))


def ft(info, d=96, depth=3, heads=8, mult=4 / 3, adrop=0.2, fdrop=0.1, rdrop=0.0, **_):
    off, hid = offsets(info["sizes"]), int(d * mult)
    p = tok_init(info, d)
    for l in range(depth):
        p |= norm(f"{l}.att", d) | norm(f"{l}.ff", d)
        for s in "qkvo":
            p |= lin(f"{l}.att.{s}", d, d)
        p |= lin(f"{l}.ff.in", d, 2 * hid) | lin(f"{l}.ff.out", hid, d)
    p |= norm("head", d) | lin("head", d, info["out"])

    def f(p, b, train=False):
        x = tokens(p, b, off)
        for l in range(depth):
            h = ln(p, f"{l}.att", x) if l else x  # the very first norm hurts, so it is skipped
            if l == depth - 1:  # only cls is read at the end
                x, q = x[:, :1], h[:, :1]
            else:
                q = h
            x = x + F.dropout(attend(p, f"{l}.att", q, h, heads, adrop, train), rdrop, train)
            h = F.dropout(reglu(mm(p, f"{l}.ff.in", ln(p, f"{l}.ff", x))), fdrop, train)
            x = x + F.dropout(mm(p, f"{l}.ff.out", h), rdrop, train)
        return mm(p, "head", F.relu(ln(p, "head", x[:, 0])))

    if "0.att.ln.g" in p:
        del p["0.att.ln.g"], p["0.att.ln.b"]
    return p, f


def mlp(info, width=256, layers=3, fdrop=0.1, demb=8, **_):
    off = offsets(info["sizes"])
    dims = [2 * info["nnum"] + demb * len(info["sizes"])] + [width] * layers
    p = {"tok.cat": uni(sum(info["sizes"]), demb, fan=demb)}
    for l, (i, o) in enumerate(zip(dims, dims[1:])):
        p |= lin(f"{l}", i, o)
    p |= lin("head", dims[-1], info["out"])

    def f(p, b, train=False):
        c = p["tok.cat"][b["c"] + off.to(b["c"].device)]
        x = torch.cat([b["x"], b["m"], c.flatten(1)], 1)
        for l in range(layers):
            x = F.dropout(F.relu(mm(p, f"{l}", x)), fdrop, train)
        return mm(p, "head", x)

    return p, f


models = {"ft": ft, "mlp": mlp}


def groups(p, wd):
    plain = lambda k: k.startswith("tok.") or ".ln." in k or k.endswith(".b")
    return [
        {"params": [t for k, t in p.items() if not plain(k)], "weight_decay": wd},
        {"params": [t for k, t in p.items() if plain(k)], "weight_decay": 0.0},
    ]

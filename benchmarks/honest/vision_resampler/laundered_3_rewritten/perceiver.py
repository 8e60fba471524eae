"""Probes that read packed patches. Parameters live in one flat dictionary, the computation in functions."""

import math

import torch
from optics import pack, phases
from spec import default_spec
from torch import nn


def _dense(bank, name, n_in, n_out, bias=True):
    lim = n_in**-0.5
    bank[name + "_w"] = nn.Parameter(torch.empty(n_out, n_in).uniform_(-lim, lim))
    if bias:
        bank[name + "_b"] = nn.Parameter(torch.empty(n_out).uniform_(-lim, lim))


def _scale(bank, name, n):
    bank[name + "_g"] = nn.Parameter(torch.ones(n))
    bank[name + "_s"] = nn.Parameter(torch.zeros(n))


def make_bank(spec):
    bank = nn.ParameterDict()
    d, wide = spec.d_mouth, int(spec.d_mouth * spec.widen)
    _dense(bank, "grain", 3 * spec.grain**2, spec.d_eye)
    _scale(bank, "grain", spec.d_eye)
    _dense(bank, "lift", spec.d_eye, d, bias=False)
    _dense(bank, "place", spec.d_eye, d, bias=False)
    _scale(bank, "lift", d)
    bank["probes"] = nn.Parameter(torch.randn(spec.probe_side**2, d).mul(0.02))
    for r in range(spec.rounds):
        _scale(bank, f"r{r}_read", d)
        for part in ("ask", "match", "fetch", "join"):
            _dense(bank, f"r{r}_{part}", d, d)
        _scale(bank, f"r{r}_muse", d)
        _dense(bank, f"r{r}_up", d, wide)
        _dense(bank, f"r{r}_down", wide, d)
    _scale(bank, "exit", d)
    _dense(bank, "exit", d, d)
    return bank


class Apply:
    """Bound to a bank, computes `apply("name", x)`; `level` is layer normalisation."""

    def __init__(self, bank, prefix=""):
        self.bank, self.prefix = bank, prefix

    def __call__(self, name, x):
        y = torch.einsum("...i,oi->...o", x, self.bank[f"{self.prefix}{name}_w"])
        key = f"{self.prefix}{name}_b"
        return y + self.bank[key] if key in self.bank else y

    def level(self, name, x):
        spread, centre = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        unit = (x - centre) * torch.rsqrt(spread + 1e-5)
        return torch.addcmul(self.bank[f"{self.prefix}{name}_s"], unit, self.bank[f"{self.prefix}{name}_g"])


def read(ap, state, probe_at, memory, memory_at, same_look, heads):
    """Every probe of every look against the patches of that look; state (V, P, d), memory (N, d)."""
    views, probes, d = state.shape
    ask = ap("ask", ap.level("read", state) + probe_at).view(views, probes, heads, d // heads)
    match = ap("match", memory + memory_at).view(-1, heads, d // heads)
    fetch = ap("fetch", memory).view(-1, heads, d // heads)  # deliberately without places

    affinity = torch.einsum("vphd,nhd->hvpn", ask, match).div(math.sqrt(d // heads))
    affinity = torch.where(same_look[:, None, :], affinity, -math.inf)
    share = (affinity - affinity.amax(-1, keepdim=True)).exp()
    share = share / share.sum(-1, keepdim=True)
    return ap("join", torch.einsum("hvpn,nhd->vphd", share, fetch).flatten(2))


def muse(ap, state):
    h = ap("up", ap.level("muse", state))
    return ap("down", h * (1 + torch.erf(h / math.sqrt(2))) / 2)


class Perceiver(nn.Module):
    def __init__(self, spec=None):
        super().__init__()
        self.spec = spec if spec is not None else default_spec()
        self.bank = make_bank(self.spec)

    def forward(self, looks):
        """Looks (3, h, w) of any sizes -> (number of looks, probes, d_mouth)."""
        spec = self.spec
        pixels, where, owner = pack(looks, spec.grain)
        ap = Apply(self.bank)
        memory = ap.level("lift", ap("lift", ap.level("grain", ap("grain", pixels))))
        memory_at = ap("place", phases(where, spec.d_eye))
        lattice = torch.cartesian_prod(*[torch.arange(spec.probe_side, device=where.device)] * 2)
        probe_at = phases(lattice, spec.d_mouth)

        looks_there = torch.arange(int(owner[-1]) + 1, device=owner.device)
        same_look = looks_there[:, None] == owner
        state = self.bank["probes"].repeat(len(looks_there), 1, 1)
        for r in range(spec.rounds):
            step = Apply(self.bank, f"r{r}_")
            state = state + read(step, state, probe_at, memory, memory_at, same_look, spec.heads)
            state = state + muse(step, state)
        return ap("exit", ap.level("exit", state))

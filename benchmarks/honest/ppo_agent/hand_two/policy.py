"""Actor-critic network, action distributions, running observation statistics."""

import torch
import torch.nn.functional as F
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal


def linear(i: int, o: int, gain: float = 2**0.5) -> nn.Linear:
    """Orthogonal weights, zero bias."""
    m = nn.Linear(i, o)
    nn.init.orthogonal_(m.weight, gain)
    nn.init.zeros_(m.bias)
    return m


def tower(d: int, width: int, depth: int) -> nn.Sequential:
    """Tanh MLP."""
    return nn.Sequential(*[f for i in range(depth) for f in (linear(width if i else d, width), nn.Tanh())])


class ActorCritic(nn.Module):
    """Works on sequences (L, B, D). With rnn > 0 a GRU sits between the trunk and the heads."""

    def __init__(self, obs: Space, act: Space, width: int = 64, depth: int = 2, rnn: int = 0):
        super().__init__()
        self.rnn, self.discrete = rnn, isinstance(act, spaces.Discrete)
        if not self.discrete and not isinstance(act, spaces.Box):
            raise TypeError(f"cannot act in {act}: want Discrete or Box")
        d, k = spaces.flatdim(obs), spaces.flatdim(act)
        if rnn:
            self.trunk, self.cell = tower(d, width, depth), nn.GRUCell(width, rnn)
            self.pi, self.v = linear(rnn, k, 0.01), linear(rnn, 1, 1.0)
        else:
            self.pi = nn.Sequential(tower(d, width, depth), linear(width, k, 0.01))
            self.v = nn.Sequential(tower(d, width, depth), linear(width, 1, 1.0))
        self.logstd = None if self.discrete else nn.Parameter(torch.full((k,), -0.5))

    def start(self, n: int) -> Tensor:
        """Hidden state of n fresh episodes, (n, rnn); has no columns when not recurrent."""
        return torch.zeros(n, self.rnn, device=next(self.parameters()).device)

    def dist(self, x: Tensor):
        """Head output -> action distribution."""
        if self.discrete:
            return Categorical(logits=x)
        return Independent(Normal(x, self.logstd.clamp(-5, 2).exp().expand_as(x)), 1)

    def forward(self, x: Tensor, h: Tensor, first: Tensor):
        """x (L, B, D), h (B, rnn), first (L, B) = 1 where an episode begins -> dist, value (L, B), h."""
        if self.rnn:
            ys = []
            for e, f in zip(self.trunk(x), first, strict=True):
                h = self.cell(e, h * (1 - f[:, None]))
                ys.append(h)
            x = torch.stack(ys)
        return self.dist(self.pi(x)), self.v(x).squeeze(-1), h


def stats(d: int) -> dict[str, Tensor]:
    """Empty running statistics of d features."""
    return {"n": torch.tensor(1e-4), "mean": torch.zeros(d), "m2": torch.zeros(d)}


def track(s: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Merge the batch x (B, D) into s (Chan's parallel update)."""
    k, mu = len(x), x.mean(0)
    n, delta = s["n"] + k, mu - s["mean"]
    m2 = s["m2"] + (x - mu).square().sum(0) + delta.square() * s["n"] * k / n
    return {"n": n, "mean": s["mean"] + delta * k / n, "m2": m2}


def whiten(s: dict[str, Tensor], x: Tensor, clip: float = 10.0) -> Tensor:
    """Standardise and clip."""
    return ((x - s["mean"]) * (s["m2"] / s["n"] + 1e-8).rsqrt()).clamp(-clip, clip)


def gae(r: Tensor, v: Tensor, last: Tensor, done: Tensor, *, gamma: float, lam: float) -> Tensor:
    """Advantages (T, N) of rewards r, values v, value after the end last (N,); done[t]: step t ended it.

    Schulman et al. 2016, eq. 16.
    """
    live = gamma * (1 - done)
    delta = r + live * torch.cat([v[1:], last[None]]) - v
    out, a = [], torch.zeros_like(last)
    for d, g in zip(delta.flip(0), live.flip(0), strict=True):
        a = d + g * lam * a
        out.append(a)
    return torch.stack(out[::-1])


def ppo_loss(net: ActorCritic, b: dict[str, Tensor], c: dict, ent: float) -> tuple[Tensor, dict[str, float]]:
    """Clipped surrogate + clipped value loss - entropy bonus on a batch of sequences (L, B)."""
    pi, v, _ = net(b["obs"], b["h0"], b["first"])
    dlogp = pi.log_prob(b["act"]) - b["logp"]
    ratio, adv = dlogp.exp(), b["adv"]
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    pg = -torch.min(ratio * adv, ratio.clamp(1 - c["clip"], 1 + c["clip"]) * adv).mean()
    # values in units of the returns' size, so that vclip and vf mean the same in every environment
    unit = b["ret"].square().mean().sqrt() + 1e-6
    step, goal = (v - b["val"]) / unit, (b["ret"] - b["val"]) / unit
    vf = torch.max(
        *[F.mse_loss(s, goal, reduction="none") for s in (step, step.clamp(-c["vclip"], c["vclip"]))]
    )
    h = pi.entropy().mean()
    info = {
        "pg": pg.item(),
        "vf": vf.mean().item(),
        "entropy": h.item(),
        "kl": (ratio - 1 - dlogp).mean().item(),
        "clipped": ((ratio - 1).abs() > c["clip"]).float().mean().item(),
    }
    return pg + c["vf"] * vf.mean() / 2 - ent * h, info

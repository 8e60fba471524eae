"""Actor and critic, feed-forward or recurrent, and the normaliser of their observations."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal


@dataclass(frozen=True)
class PolicyConfig:
    """Sizes of the networks."""

    hidden: int = 64
    depth: int = 2
    recurrent: bool = False
    memory: int = 64
    init_log_std: float = 0.0
    obs_clip: float = 10.0


class ObsNormalizer(nn.Module):
    """Running mean and variance of observations, merged batch by batch; saved with the policy."""

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, *, dim: int, clip: float) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("var", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    @torch.no_grad()
    def update(self, obs: Tensor) -> None:
        """Merge a batch (B, O)."""
        obs = obs.double()
        new_mean, new_var, new_count = obs.mean(dim=0), obs.var(dim=0, unbiased=False), obs.shape[0]
        total = self.count + new_count
        share = new_count / total
        delta = new_mean - self.mean
        self.var.copy_((1 - share) * self.var + share * new_var + share * (1 - share) * delta.square())
        self.mean.add_(share * delta)
        self.count.copy_(total)

    def forward(self, obs: Tensor) -> Tensor:
        """(..., O) -> (..., O), about unit variance."""
        scaled = (obs - self.mean) / (self.var + 1e-8).sqrt()
        return scaled.clamp(min=-self.clip, max=self.clip).float()


class ActionHead(nn.Module):
    """Features -> a distribution over the actions of a discrete or box space."""

    def __init__(self, *, dim: int, space: gym.Space, init_log_std: float) -> None:
        super().__init__()
        self.discrete = isinstance(space, gym.spaces.Discrete)
        if isinstance(space, gym.spaces.Discrete):
            size = int(space.n)
        elif isinstance(space, gym.spaces.Box):
            size = int(space.shape[0])
            self.log_std = nn.Parameter(torch.full((size,), init_log_std))
        else:
            raise TypeError(f"actions of type {type(space).__name__} are not supported")
        self.linear = init_linear(nn.Linear(dim, size), gain=0.01)

    def forward(self, x: Tensor) -> Distribution:
        """(..., D) -> distribution with batch shape (...)."""
        if self.discrete:
            return Categorical(logits=self.linear(x))
        return Independent(Normal(loc=self.linear(x), scale=self.log_std.exp()), 1)


def init_linear(layer: nn.Linear, *, gain: float) -> nn.Linear:
    """Orthogonal weights, zero bias."""
    nn.init.orthogonal_(layer.weight, gain=gain)
    nn.init.zeros_(layer.bias)
    return layer


def make_trunk(*, in_dim: int, hidden: int, depth: int) -> nn.Sequential:
    """A tanh network without output layer."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [init_linear(nn.Linear(in_dim if i == 0 else hidden, hidden), gain=2**0.5), nn.Tanh()]
    return nn.Sequential(*layers)


class ActorCritic(nn.Module):
    """Separate trunks for actor and critic over a common input, which is a memory if recurrent."""

    def __init__(self, *, obs_dim: int, action_space: gym.Space, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.normalizer = ObsNormalizer(dim=obs_dim, clip=config.obs_clip)
        self.cell = nn.GRUCell(obs_dim, config.memory) if config.recurrent else None
        in_dim = config.memory if config.recurrent else obs_dim
        self.actor = make_trunk(in_dim=in_dim, hidden=config.hidden, depth=config.depth)
        self.critic = make_trunk(in_dim=in_dim, hidden=config.hidden, depth=config.depth)
        self.action_head = ActionHead(dim=config.hidden, space=action_space, init_log_std=config.init_log_std)
        self.value_head = init_linear(nn.Linear(config.hidden, 1), gain=1.0)

    def initial_state(self, batch: int, device: torch.device) -> Tensor:
        """Empty memory (B, M); M is 0 without recurrence."""
        size = self.config.memory if self.cell is not None else 0
        return torch.zeros(batch, size, device=device)

    def remember(self, x: Tensor, *, starts: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run the memory over x (T, B, O), emptying it where starts (T, B) is 1."""
        if self.cell is None:
            return x, state
        outputs = []
        for step, start in zip(x, starts, strict=True):
            state = self.cell(step, state * (1.0 - start).unsqueeze(-1))  # (B, M)
            outputs.append(state)
        return torch.stack(outputs), state

    def forward(self, obs: Tensor, *, starts: Tensor, state: Tensor) -> tuple[Distribution, Tensor, Tensor]:
        """obs (T, B, O), starts (T, B), state (B, M) -> distribution (T, B), values (T, B), state."""
        x, state = self.remember(self.normalizer(obs), starts=starts, state=state)
        values = self.value_head(self.critic(x)).squeeze(-1)
        return self.action_head(self.actor(x)), values, state

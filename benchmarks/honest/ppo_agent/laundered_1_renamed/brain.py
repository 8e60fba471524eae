"""
Networks of the control learner.

Contains the input standardiser, the output sampler, and the two-headed net.
"""
from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import torch as th
import torch.nn as tnn
from torch.distributions import Categorical, Distribution, Independent, Normal


@dataclass(frozen=True)
class BrainSpec:
    # how wide each layer is
    units: int = 64
    # how many layers there are
    n_layers: int = 2
    use_gru: bool = False
    gru_units: int = 64
    log_sigma0: float = 0.0
    input_bound: float = 10.0


class InputStandardizer(tnn.Module):
    """Standardises inputs with statistics gathered on the fly."""

    mu: th.Tensor
    sigma2: th.Tensor
    n_seen: th.Tensor

    def __init__(self, *, bound: float, features: int) -> None:
        super().__init__()
        self.bound = bound
        self.register_buffer('mu', th.zeros(features, dtype=th.float64))
        self.register_buffer('sigma2', th.ones(features, dtype=th.float64))
        self.register_buffer('n_seen', th.tensor(1e-4, dtype=th.float64))

    @th.no_grad()
    def absorb(self, sample: th.Tensor) -> None:
        # statistics are kept in double precision
        sample = sample.double()
        batch_mu, batch_sigma2, batch_n = (
            sample.mean(dim=0),
            sample.var(unbiased=False, dim=0),
            sample.shape[0],
        )
        n_all = self.n_seen + batch_n
        weight = batch_n / n_all
        gap = batch_mu - self.mu
        self.sigma2.copy_(
            (1 - weight) * self.sigma2
            + weight * batch_sigma2
            + weight * (1 - weight) * gap.square()
        )
        self.mu.add_(weight * gap)
        self.n_seen.copy_(n_all)

    def forward(self, sample: th.Tensor) -> th.Tensor:
        z = (sample - self.mu) / (self.sigma2 + 1e-8).sqrt()
        return z.clamp(max=self.bound, min=-self.bound).float()


class ControlSampler(tnn.Module):
    """Turns hidden features into a probability law over controls."""

    def __init__(self, *, control_space: gymnasium.Space, log_sigma0: float, features: int) -> None:
        super().__init__()
        self.is_categorical = isinstance(control_space, gymnasium.spaces.Discrete)
        if isinstance(control_space, gymnasium.spaces.Discrete):
            n_out = int(control_space.n)
        elif isinstance(control_space, gymnasium.spaces.Box):
            n_out = int(control_space.shape[0])
            self.log_sigma = tnn.Parameter(th.full((n_out,), log_sigma0))
        else:
            raise TypeError(f'cannot handle a control space of kind {type(control_space).__name__}')
        self.projection = orthogonal_layer(tnn.Linear(features, n_out), scale=0.01)

    def forward(self, feats: th.Tensor) -> Distribution:
        if self.is_categorical:
            return Categorical(logits=self.projection(feats))
        return Independent(
            Normal(scale=self.log_sigma.exp(), loc=self.projection(feats)),
            1,
        )


def orthogonal_layer(lin: tnn.Linear, *, scale: float) -> tnn.Linear:
    tnn.init.orthogonal_(lin.weight, gain=scale)
    tnn.init.zeros_(lin.bias)
    return lin


def tanh_stack(*, n_layers: int, units: int, n_in: int) -> tnn.Sequential:
    """Several tanh layers in a row; whoever calls this adds the output."""
    blocks: list[tnn.Module] = []
    for k in range(n_layers):
        blocks += [
            orthogonal_layer(tnn.Linear(n_in if k == 0 else units, units), scale=2**0.5),
            tnn.Tanh(),
        ]
    return tnn.Sequential(*blocks)


class TwinNet(tnn.Module):
    """Behaviour net and appraisal net, side by side; both may sit on a GRU."""

    def __init__(self, *, spec: BrainSpec, control_space: gymnasium.Space, n_features: int) -> None:
        super().__init__()
        self.spec = spec
        self.standardizer = InputStandardizer(bound=spec.input_bound, features=n_features)
        self.gru = tnn.GRUCell(n_features, spec.gru_units) if spec.use_gru else None
        n_in = spec.gru_units if spec.use_gru else n_features
        self.behave = tanh_stack(n_layers=spec.n_layers, units=spec.units, n_in=n_in)
        self.appraise = tanh_stack(n_layers=spec.n_layers, units=spec.units, n_in=n_in)
        self.sampler = ControlSampler(
            control_space=control_space,
            log_sigma0=spec.log_sigma0,
            features=spec.units,
        )
        self.appraisal_out = orthogonal_layer(tnn.Linear(spec.units, 1), scale=1.0)

    def blank_hidden(self, rows: int, dev: th.device) -> th.Tensor:
        # zero columns wide when there is no GRU
        width = self.spec.gru_units if self.gru is not None else 0
        return th.zeros(rows, width, device=dev)

    def unroll(
        self, seq: th.Tensor, *, hidden: th.Tensor, first: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor]:
        if self.gru is None:
            return seq, hidden
        collected = []
        for frame, fresh in zip(seq, first, strict=True):
            # a fresh episode must not see the previous one's memory
            hidden = self.gru(frame, hidden * (1.0 - fresh).unsqueeze(-1))
            collected.append(hidden)
        return th.stack(collected), hidden

    def forward(
        self, sample: th.Tensor, *, hidden: th.Tensor, first: th.Tensor
    ) -> tuple[Distribution, th.Tensor, th.Tensor]:
        feats, hidden = self.unroll(self.standardizer(sample), hidden=hidden, first=first)
        worth = self.appraisal_out(self.appraise(feats)).squeeze(-1)
        return self.sampler(self.behave(feats)), worth, hidden

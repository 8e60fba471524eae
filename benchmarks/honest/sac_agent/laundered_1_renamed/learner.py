"""Maximum-entropy off-policy learner: the actor, two value heads and how they are improved."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from experience import Minibatch

SPREAD_FLOOR, SPREAD_CEIL = -5.0, 2.0


def dense_stack(
    widths: list[int],
) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for fan_in, fan_out in zip(widths[:-1], widths[1:]):
        blocks += [
            nn.Linear(fan_in, fan_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*blocks[:-1])


class SquashedActor(nn.Module):
    """Draws independent normal values and bends them into the interval from -1 to 1."""

    def __init__(
        self,
        state_size: int,
        control_size: int,
        units: int,
    ):
        super().__init__()
        self.trunk = dense_stack(
            [state_size, units, units, 2 * control_size]
        )

    def forward(
        self,
        state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        centre, log_spread = self.trunk(state).chunk(2, dim=-1)
        return centre, log_spread.clamp(SPREAD_FLOOR, SPREAD_CEIL)

    def draw(
        self,
        state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        centre, log_spread = self(state)
        gauss = torch.distributions.Normal(centre, log_spread.exp())
        raw = gauss.rsample()
        # stable form of the correction for the squashing
        squash_term = 2 * (
            math.log(2) - raw - fn.softplus(-2 * raw)
        )
        return (
            raw.tanh(),
            (gauss.log_prob(raw) - squash_term).sum(dim=-1),
        )


class PairedValue(nn.Module):

    def __init__(
        self,
        state_size: int,
        control_size: int,
        units: int,
    ):
        super().__init__()
        self.first = dense_stack(
            [state_size + control_size, units, units, 1]
        )
        self.second = dense_stack(
            [state_size + control_size, units, units, 1]
        )

    def forward(
        self,
        state: Tensor,
        control: Tensor,
    ) -> tuple[Tensor, Tensor]:
        joined = torch.cat([state, control], dim=-1)
        return (
            self.first(joined).squeeze(-1),
            self.second(joined).squeeze(-1),
        )


class InputScaler(nn.Module):
    """Centres and scales what the sensors report, by statistics gathered on the way."""

    def __init__(
        self,
        size: int,
        limit: float = 10.0,
    ):
        super().__init__()
        self.limit = limit
        self.register_buffer(
            "centre", torch.zeros(size, dtype=torch.float64)
        )
        self.register_buffer(
            "spread", torch.ones(size, dtype=torch.float64)
        )
        self.register_buffer(
            "seen", torch.tensor(1e-4, dtype=torch.float64)
        )

    def absorb(
        self,
        rows: Tensor,
    ) -> None:
        rows = rows.double()
        fresh = rows.shape[0]
        shift = rows.mean(dim=0) - self.centre
        joint = self.seen + fresh
        squares = (
            self.spread * self.seen
            + rows.var(dim=0, unbiased=False) * fresh
            + shift ** 2 * self.seen * fresh / joint
        )
        self.centre += shift * fresh / joint
        self.spread.copy_(squares / joint)
        self.seen.copy_(joint)

    def forward(
        self,
        rows: Tensor,
    ) -> Tensor:
        scaled = (rows - self.centre.float()) / (
            self.spread.float() + 1e-8
        ).sqrt()
        return scaled.clamp(-self.limit, self.limit)


class TorquePilot:

    def __init__(
        self,
        state_size: int,
        control_size: int,
        units: int = 256,
        rate: float = 3e-4,
        blend: float = 0.005,
        scale_inputs: bool = True,
        first_heat: float = 0.2,
        place: str = "cpu",
    ):
        self.place, self.blend, self.scale_inputs = (
            place,
            blend,
            scale_inputs,
        )
        self.wanted_chaos = -float(control_size)
        self.scaler = InputScaler(state_size).to(place)
        self.actor = SquashedActor(
            state_size, control_size, units
        ).to(place)
        self.judge = PairedValue(
            state_size, control_size, units
        ).to(place)
        self.shadow = copy.deepcopy(self.judge).requires_grad_(False)
        self.log_heat = torch.tensor(
            math.log(first_heat),
            device=place,
            requires_grad=True,
        )
        self.actor_adam = torch.optim.Adam(
            self.actor.parameters(), lr=rate
        )
        self.judge_adam = torch.optim.Adam(
            self.judge.parameters(), lr=rate
        )
        self.heat_adam = torch.optim.Adam([self.log_heat], lr=rate)

    def watch(
        self,
        state: np.ndarray,
    ) -> None:
        if self.scale_inputs:
            self.scaler.absorb(
                torch.as_tensor(state, device=self.place)
            )

    def _scaled(
        self,
        state: Tensor,
    ) -> Tensor:
        return self.scaler(state) if self.scale_inputs else state

    @torch.no_grad()
    def choose(
        self,
        state: np.ndarray,
        greedy: bool = False,
    ) -> np.ndarray:
        inputs = self._scaled(
            torch.as_tensor(
                state,
                dtype=torch.float32,
                device=self.place,
            )
        )
        control = (
            self.actor(inputs)[0].tanh()
            if greedy
            else self.actor.draw(inputs)[0]
        )
        return control.cpu().numpy()

    def improve(
        self,
        mini: Minibatch,
    ) -> tuple[dict[str, float], np.ndarray]:
        """Improve value heads, actor and heat once; gives back the statistics and the gaps."""
        state, later_state = (
            self._scaled(mini.state),
            self._scaled(mini.later_state),
        )
        heat = self.log_heat.exp().detach()

        with torch.no_grad():
            later_control, later_logprob = self.actor.draw(later_state)
            later_value = (
                torch.min(*self.shadow(later_state, later_control))
                - heat * later_logprob
            )
            goal = mini.gain + mini.decay * later_value
        first, second = self.judge(state, mini.control)
        judge_cost = (
            mini.importance
            * ((first - goal) ** 2 + (second - goal) ** 2)
        ).mean()
        self._descend(self.judge_adam, judge_cost)

        self.judge.requires_grad_(False)
        control, logprob = self.actor.draw(state)
        actor_cost = (
            heat * logprob
            - torch.min(*self.judge(state, control))
        ).mean()
        self._descend(self.actor_adam, actor_cost)
        self.judge.requires_grad_(True)

        heat_cost = -(
            self.log_heat * (logprob.detach() + self.wanted_chaos)
        ).mean()
        self._descend(self.heat_adam, heat_cost)

        with torch.no_grad():
            for slow, fast in zip(
                self.shadow.parameters(),
                self.judge.parameters(),
            ):
                slow.lerp_(fast, self.blend)
        gap = (
            (0.5 * ((first - goal).abs() + (second - goal).abs()))
            .detach()
            .cpu()
            .numpy()
        )
        stats = {
            "judge_cost": judge_cost.item(),
            "actor_cost": actor_cost.item(),
            "heat": heat.item(),
            "chaos": -logprob.mean().item(),
            "value_mean": first.mean().item(),
        }
        return stats, gap

    @staticmethod
    def _descend(
        adam: torch.optim.Optimizer,
        cost: Tensor,
    ) -> None:
        adam.zero_grad(set_to_none=True)
        cost.backward()
        adam.step()

    _members = (
        "scaler",
        "actor",
        "judge",
        "shadow",
        "actor_adam",
        "judge_adam",
        "heat_adam",
    )

    def state_dict(self) -> dict:
        snapshot = {
            member: getattr(self, member).state_dict()
            for member in self._members
        }
        snapshot["log_heat"] = self.log_heat.detach().cpu()
        return snapshot

    def load_state_dict(
        self,
        snapshot: dict,
    ) -> None:
        for member in self._members:
            getattr(self, member).load_state_dict(snapshot[member])
        with torch.no_grad():
            self.log_heat.copy_(snapshot["log_heat"])

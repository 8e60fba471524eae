"""Gathers interaction data and works out how much better than expected each control was."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import gymnasium
import numpy
import torch as th

from brain import TwinNet


@dataclass
class Trace:
    """What was seen and done, time first, worker second."""

    seen: th.Tensor
    controls: th.Tensor
    logps: th.Tensor
    worths: th.Tensor
    first: th.Tensor
    edges: th.Tensor
    goals: th.Tensor

    def unravel(self) -> Trace:
        columns = {c.name: getattr(self, c.name) for c in fields(self)}
        return Trace(
            **{
                key: col.reshape(1, -1, *col.shape[2:])
                for key, col in columns.items()
            }
        )

    def pick(self, ids: th.Tensor) -> Trace:
        return Trace(**{c.name: getattr(self, c.name)[:, ids] for c in fields(self)})


def compute_edges(
    *,
    horizon_decay: float,
    trace_decay: float,
    gains: th.Tensor,
    ended: th.Tensor,
    worths: th.Tensor,
    tail_worth: th.Tensor,
) -> th.Tensor:
    """Exponentially averaged temporal-difference errors, computed backwards in time."""
    shifted = th.cat([worths[1:], tail_worth.unsqueeze(0)], dim=0)
    going = 1.0 - ended
    errors = gains + horizon_decay * going * shifted - worths
    factors = horizon_decay * trace_decay * going
    edges = th.zeros_like(gains)
    acc = th.zeros_like(tail_worth)
    for k in reversed(range(gains.shape[0])):
        acc = errors[k] + factors[k] * acc
        edges[k] = acc
    return edges


def spawn_worlds(*, n_worlds: int, world: str) -> gymnasium.vector.SyncVectorEnv:
    return gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(world) for _ in range(n_worlds)],
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
    )


class Harvester:
    """Steps the worlds and remembers where they were left."""

    def __init__(
        self,
        worlds: gymnasium.vector.VectorEnv,
        net: TwinNet,
        *,
        dev: th.device,
        rng_seed: int,
    ):
        self.worlds = worlds
        self.net = net
        self.dev = dev
        seen, _ = worlds.reset(seed=rng_seed)
        self.seen = self.upload(seen)
        self.first = th.ones(worlds.num_envs, device=dev)
        self.hidden = net.blank_hidden(worlds.num_envs, dev)
        self.tally = numpy.zeros(worlds.num_envs)
        # only the last hundred scores are of interest
        self.scores: deque[float] = deque(maxlen=100)

    def upload(self, arr: numpy.ndarray) -> th.Tensor:
        return th.as_tensor(arr, device=self.dev, dtype=th.float32)

    def judge(self, seen: th.Tensor, first: th.Tensor) -> th.Tensor:
        _, worth, _ = self.net(seen.unsqueeze(0), hidden=self.hidden, first=first.unsqueeze(0))
        return worth.squeeze(0)

    def patch_timeouts(
        self, gains: th.Tensor, timed_out: numpy.ndarray, extras: dict, horizon_decay: float
    ) -> None:
        """A timeout is no real end: credit what was still to come."""
        if not timed_out.any():
            return
        closing = self.seen.clone()
        for w in numpy.flatnonzero(timed_out):
            closing[w] = self.upload(extras['final_obs'][w])
        mask = th.as_tensor(timed_out, device=self.dev)
        worth = self.judge(closing, th.zeros_like(self.first))
        gains[mask] += horizon_decay * worth[mask]

    def tally_up(self, gains: numpy.ndarray, over: numpy.ndarray) -> None:
        self.tally += gains
        self.scores.extend(self.tally[over].tolist())
        self.tally[over] = 0.0

    @th.no_grad()
    def reap(self, *, horizon_decay: float, trace_decay: float, length: int) -> tuple[Trace, th.Tensor]:
        """One stretch of interaction, together with the hidden state it began with."""
        hidden0 = self.hidden
        log: dict[str, list[th.Tensor]] = {
            key: []
            for key in ('seen', 'controls', 'logps', 'worths', 'first', 'gains', 'ended')
        }
        for _ in range(length):
            self.net.standardizer.absorb(self.seen)
            law, worths, hidden = self.net(
                self.seen.unsqueeze(0),
                hidden=self.hidden,
                first=self.first.unsqueeze(0),
            )
            controls = law.sample()
            seen, gain, crashed, timed_out, extras = self.worlds.step(controls[0].cpu().numpy())
            over = crashed | timed_out
            self.tally_up(gain, over)
            self.hidden = hidden
            gains = self.upload(gain)
            self.patch_timeouts(gains, timed_out & ~crashed, extras, horizon_decay)

            entry = (
                self.seen,
                controls[0],
                law.log_prob(controls)[0],
                worths[0],
                self.first,
                gains,
            )
            for key, item in zip(log, (*entry, self.upload(over)), strict=True):
                log[key].append(item)
            self.seen, self.first = self.upload(seen), self.upload(over)

        stacked = {key: th.stack(col) for key, col in log.items()}
        gains, ended = stacked.pop('gains'), stacked.pop('ended')
        edges = compute_edges(
            horizon_decay=horizon_decay,
            trace_decay=trace_decay,
            gains=gains,
            ended=ended,
            worths=stacked['worths'],
            tail_worth=self.judge(self.seen, self.first),
        )
        goals = edges + stacked['worths']
        return Trace(**stacked, edges=edges, goals=goals), hidden0


def shards(
    trace: Trace, hidden0: th.Tensor, *, with_gru: bool, pieces: int
) -> Iterator[tuple[Trace, th.Tensor]]:
    """Shuffle and cut: by time step normally, by worker when there is a GRU."""
    if not with_gru:
        trace = trace.unravel()
        hidden0 = hidden0.new_zeros(trace.seen.shape[1], 0)
    for ids in th.randperm(trace.seen.shape[1], device=trace.seen.device).chunk(pieces):
        yield trace.pick(ids), hidden0[ids]

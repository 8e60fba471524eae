"""Storage of past interactions: multi-step targets, drawn evenly or by surprise."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class Minibatch:
    state: torch.Tensor
    control: torch.Tensor
    gain: torch.Tensor
    later_state: torch.Tensor
    decay: torch.Tensor  # zero when a terminal state was met, the power of the decay rate otherwise
    importance: torch.Tensor
    slots: np.ndarray


class PriorityHeap:
    """Flat array holding a full binary tree whose inner entries add up the two entries below."""

    def __init__(
        self,
        room: int,
    ):
        self.width = 1 << (room - 1).bit_length()
        self.cells = np.zeros(2 * self.width)

    @property
    def overall(self) -> float:
        return self.cells[1]

    def read(
        self,
        slots: np.ndarray,
    ) -> np.ndarray:
        return self.cells[slots + self.width]

    def write(
        self,
        slots: np.ndarray,
        amount: np.ndarray,
    ) -> None:
        pos = np.asarray(slots) + self.width
        self.cells[pos] = amount
        pos = np.unique(pos // 2)
        while pos[0] >= 1:
            self.cells[pos] = (
                self.cells[2 * pos]
                + self.cells[2 * pos + 1]
            )
            pos = np.unique(pos // 2)

    def locate(
        self,
        quota: np.ndarray,
    ) -> np.ndarray:
        pos = np.ones(len(quota), dtype=np.int64)
        quota = quota.copy()
        while pos[0] < self.width:
            lower = self.cells[2 * pos]
            go_up = quota >= lower
            quota -= np.where(go_up, lower, 0.0)
            pos = 2 * pos + go_up
        return pos - self.width


class ExperienceStore:

    def __init__(
        self,
        room: int,
        state_size: int,
        control_size: int,
        workers: int,
        decay_rate: float = 0.99,
        lookahead: int = 1,
        by_surprise: bool = False,
        sharpness: float = 0.6,
        rand_seed: int = 0,
    ):
        self.room, self.decay_rate, self.lookahead, self.sharpness = (
            room,
            decay_rate,
            lookahead,
            sharpness,
        )
        self.state = np.zeros((room, state_size), np.float32)
        self.later_state = np.zeros((room, state_size), np.float32)
        self.control = np.zeros((room, control_size), np.float32)
        self.gain = np.zeros(room, np.float32)
        self.decay = np.zeros(room, np.float32)
        self.waiting = [deque() for _ in range(workers)]
        self.heap = PriorityHeap(room) if by_surprise else None
        self.top_surprise = 1.0
        self.dice = np.random.default_rng(rand_seed)
        self.head = self.filled = 0

    def __len__(self) -> int:
        return self.filled

    def record(
        self,
        worker: int,
        state,
        control,
        gain: float,
        later_state,
        ended: bool,
        cut: bool,
    ) -> None:
        line = self.waiting[worker]
        line.append((state, control, gain))
        if ended or cut:
            while line:
                self._commit_first(line, later_state, ended)
        elif len(line) == self.lookahead:
            self._commit_first(line, later_state, False)

    def _commit_first(
        self,
        line: deque,
        later_state,
        ended: bool,
    ) -> None:
        """Move the entry that waited longest into the arrays, together with what it earned."""
        earned = sum(
            self.decay_rate ** age * entry[2]
            for age, entry in enumerate(line)
        )
        decay = 0.0 if ended else self.decay_rate ** len(line)
        state, control, _ = line.popleft()
        at = self.head
        self.state[at], self.control[at], self.later_state[at] = (
            state,
            control,
            later_state,
        )
        self.gain[at], self.decay[at] = earned, decay
        if self.heap is not None:
            self.heap.write(
                np.array([at]),
                self.top_surprise ** self.sharpness,
            )
        self.head = (at + 1) % self.room
        self.filled = min(self.filled + 1, self.room)

    def draw(
        self,
        count: int,
        correction: float,
        place: str,
    ) -> Minibatch:
        if self.heap is None:
            slots = self.dice.integers(self.filled, size=count)
            importance = np.ones(count, np.float32)
        else:
            quota = (
                (np.arange(count) + self.dice.random(count))
                / count
                * self.heap.overall
            )
            slots = np.minimum(self.heap.locate(quota), self.filled - 1)
            chance = self.heap.read(slots) / self.heap.overall
            importance = (self.filled * chance) ** -correction
            importance = importance / importance.max()
        columns = (
            self.state,
            self.control,
            self.gain,
            self.later_state,
            self.decay,
        )
        picked = [
            torch.as_tensor(column[slots], device=place)
            for column in columns
        ]
        return Minibatch(
            *picked,
            torch.as_tensor(importance, dtype=torch.float32, device=place),
            slots,
        )

    def refresh_surprise(
        self,
        slots: np.ndarray,
        gap: np.ndarray,
    ) -> None:
        if self.heap is None:
            return
        surprise = np.abs(gap) + 1e-6
        self.top_surprise = max(
            self.top_surprise,
            float(surprise.max()),
        )
        self.heap.write(slots, surprise ** self.sharpness)

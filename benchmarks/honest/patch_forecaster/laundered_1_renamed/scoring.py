"""Objective functions for optimisation and the scores reported on held-out data."""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader


def tilted_error(guess: Tensor, truth: Tensor, taus: Tensor) -> Tensor:
    """Asymmetric absolute error per entry. `guess` carries one more (last) axis than `truth`."""
    gap = truth.unsqueeze(-1) - guess
    return torch.maximum(
        taus * gap,
        (taus - 1) * gap,
    )


def pick_objective(kind: str, taus: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    if kind == 'l2':
        return lambda guess, truth: (guess[..., 0] - truth).pow(2).mean()

    if kind == 'l1':
        return lambda guess, truth: (guess[..., 0] - truth).abs().mean()

    if kind == 'tilted':
        return lambda guess, truth: tilted_error(guess, truth, taus).mean()

    raise ValueError(f'no such objective: {kind!r}')


def seasonal_step_size(history: np.ndarray, cycle: int) -> Tensor:
    """How far, on average, each sensor moves from one cycle to the next in the fitting data."""
    step = np.abs(history[cycle:] - history[:-cycle]).mean(axis=0)
    return torch.as_tensor(
        np.maximum(step, 1e-8),
        dtype=torch.float32,
    )


@torch.no_grad()
def score_network(
    network: nn.Module,
    batches: DataLoader,
    taus: Tensor,
    step: Tensor,
    where: str,
) -> dict[str, float]:
    """Run the network over all batches and gather squared, absolute, scaled and tilted scores.

    With a single tau of one half the tilted score reduces to total absolute
    error divided by the total magnitude of the truth.
    """
    network.eval()
    centre = int((taus - 0.5).abs().argmin())
    step = step.to(where)

    sq_total = abs_total = rel_total = magnitude = 0.0
    seen = 0
    tilted_total = torch.zeros(len(taus), dtype=torch.float64)

    for past, future in batches:
        past, future = past.to(where), future.to(where)
        guess = network(past)
        residual = guess[..., centre] - future
        sq_total += residual.pow(2).sum().item()
        abs_total += residual.abs().sum().item()
        rel_total += (residual.abs() / step).sum().item()
        magnitude += future.abs().sum().item()
        tilted_total += (
            tilted_error(guess, future, taus)
            .sum(dim=(0, 1, 2))
            .double()
            .cpu()
        )
        seen += future.numel()

    return {
        'mean_sq': sq_total / seen,
        'mean_abs': abs_total / seen,
        'scaled_abs': rel_total / seen,
        'tilted': (2 * tilted_total / max(magnitude, 1e-8)).mean().item(),
    }

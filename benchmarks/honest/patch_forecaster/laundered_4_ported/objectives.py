"""Losses to differentiate and numbers to report."""
from __future__ import annotations

from typing import Callable

import jax
import jax.numpy as jnp
import numpy as np

from windows import BatchFeed

Objective = Callable[[jax.Array, jax.Array], jax.Array]


def check_loss(forecast: jax.Array, actual: jax.Array, taus: jax.Array) -> jax.Array:
    """Quantile loss per element; the last axis of the forecast runs over taus."""
    delta = jnp.expand_dims(actual, -1) - forecast
    return jnp.maximum(taus * delta, (taus - 1) * delta)


def objective_by_name(which: str, taus: jax.Array) -> Objective:
    if which == "l2":
        return lambda forecast, actual: jnp.square(forecast[..., 0] - actual).mean()
    if which == "l1":
        return lambda forecast, actual: jnp.abs(forecast[..., 0] - actual).mean()
    if which == "check":
        return lambda forecast, actual: check_loss(forecast, actual, taus).mean()
    raise ValueError(f"no objective is called {which!r}")


def mase_divisor(fit_part: np.ndarray, cycle: int) -> jax.Array:
    """Average change of each variable over one cycle of the fit part."""
    divisor = np.abs(fit_part[cycle:] - fit_part[:-cycle]).mean(axis=0)
    return jnp.asarray(np.maximum(divisor, 1e-8), dtype=jnp.float32)


def assess(predict: Callable[[jax.Array], jax.Array], feed: BatchFeed, taus: jax.Array,
           divisor: jax.Array) -> dict[str, float]:
    """Squared, absolute and scaled error of the central forecast; weighted quantile loss of all of them.

    A point forecast comes with the single tau 0.5, for which the last number is
    the summed absolute error divided by the summed absolute actuals.
    """
    central = int(jnp.abs(taus - 0.5).argmin())

    @jax.jit
    def sums(history, actual):
        forecast = predict(history)
        miss = forecast[..., central] - actual
        return (jnp.square(miss).sum(), jnp.abs(miss).sum(), (jnp.abs(miss) / divisor).sum(), jnp.abs(actual).sum(),
                check_loss(forecast, actual, taus).sum(axis=(0, 1, 2)))

    sq = ab = sc = mass = 0.0
    n = 0
    check_sum = np.zeros(len(taus), dtype=np.float64)
    for history, actual in feed:
        batch_sq, batch_ab, batch_sc, batch_mass, batch_check = sums(history, actual)
        sq += float(batch_sq)
        ab += float(batch_ab)
        sc += float(batch_sc)
        mass += float(batch_mass)
        check_sum += np.asarray(batch_check, dtype=np.float64)
        n += actual.size
    return {
        "mse": sq / n,
        "mae": ab / n,
        "mase": sc / n,
        "wql": float((2 * check_sum / max(mass, 1e-8)).mean()),
    }

"""Entropy-regularised actor-critic in Flax: modules, learner state and the jitted update."""
from __future__ import annotations

import math
from functools import partial
from typing import Any, Sequence

import flax.linen as nn
import flax.serialization
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.stats import norm

from trajectory_store import Samples

LOG_SIGMA_LOW, LOG_SIGMA_HIGH = -5.0, 2.0


def torch_uniform(fan_in: int):
    """Uniform within 1 / sqrt(fan_in), for the kernel as for the bias."""
    limit = 1.0 / math.sqrt(fan_in)

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


class FeedForward(nn.Module):
    features: Sequence[int]

    @nn.compact
    def __call__(self, h: jnp.ndarray) -> jnp.ndarray:
        for depth, units in enumerate(self.features):
            init = torch_uniform(h.shape[-1])
            h = nn.Dense(units, kernel_init=init, bias_init=init)(h)
            if depth < len(self.features) - 1:
                h = nn.relu(h)
        return h


class TanhActor(nn.Module):
    """Diagonal normal followed by tanh, so that moves stay within [-1, 1]."""
    move_size: int
    units: int

    def setup(self):
        self.body = FeedForward([self.units, self.units, 2 * self.move_size])

    def __call__(self, observations: jnp.ndarray) -> tuple[jnp.ndarray, jnp.ndarray]:
        mu, log_sigma = jnp.split(self.body(observations), 2, axis=-1)
        return mu, jnp.clip(log_sigma, LOG_SIGMA_LOW, LOG_SIGMA_HIGH)

    def draw(self, observations: jnp.ndarray, key: jax.Array) -> tuple[jnp.ndarray, jnp.ndarray]:
        mu, log_sigma = self(observations)
        sigma = jnp.exp(log_sigma)
        pre_tanh = mu + sigma * jax.random.normal(key, mu.shape)
        log_normal = norm.logpdf(pre_tanh, mu, sigma)
        # log of the derivative of tanh, safe far from zero
        log_slope = 2 * (math.log(2) - pre_tanh - jax.nn.softplus(-2 * pre_tanh))
        return jnp.tanh(pre_tanh), (log_normal - log_slope).sum(axis=-1)


class DoubleCritic(nn.Module):
    units: int

    def setup(self):
        self.critic_a = FeedForward([self.units, self.units, 1])
        self.critic_b = FeedForward([self.units, self.units, 1])

    def __call__(self, observations: jnp.ndarray, moves: jnp.ndarray) -> tuple[jnp.ndarray, jnp.ndarray]:
        h = jnp.concatenate([observations, moves], axis=-1)
        return self.critic_a(h).squeeze(-1), self.critic_b(h).squeeze(-1)


class Standardiser:
    """Running mean and variance of the observations; kept in NumPy because JAX defaults to 32 bits."""

    def __init__(self, size: int, bound: float = 10.0):
        self.bound = bound
        self.mu = np.zeros(size, np.float64)
        self.sigma2 = np.ones(size, np.float64)
        self.n = 1e-4

    def absorb(self, rows: np.ndarray) -> None:
        rows = np.asarray(rows, np.float64)
        m = rows.shape[0]
        diff = rows.mean(axis=0) - self.mu
        both = self.n + m
        scatter = self.sigma2 * self.n + rows.var(axis=0) * m + diff ** 2 * self.n * m / both
        self.mu = self.mu + diff * m / both
        self.sigma2 = scatter / both
        self.n = both

    def __call__(self, rows: jnp.ndarray) -> jnp.ndarray:
        mu, sigma2 = jnp.asarray(self.mu, jnp.float32), jnp.asarray(self.sigma2, jnp.float32)
        z = (rows - mu) / jnp.sqrt(sigma2 + 1e-8)
        return jnp.clip(z, -self.bound, self.bound)


@flax.struct.dataclass
class LearnerState:
    actor: Any
    critic: Any
    slow_critic: Any
    log_temp: jnp.ndarray
    actor_adam: Any
    critic_adam: Any
    temp_adam: Any
    key: jax.Array


class FlaxWing:
    def __init__(self, observation_size: int, move_size: int, units: int = 256, step_size: float = 3e-4,
                 polyak: float = 0.005, standardise: bool = True, start_temp: float = 0.2, rng_seed: int = 0):
        self.polyak, self.standardise = polyak, standardise
        self.entropy_aim = -float(move_size)
        self.standardiser = Standardiser(observation_size)
        self.actor = TanhActor(move_size, units)
        self.critic = DoubleCritic(units)
        self.optimiser = optax.adam(step_size)

        key, actor_key, critic_key = jax.random.split(jax.random.PRNGKey(rng_seed), 3)
        observations, moves = jnp.zeros((1, observation_size)), jnp.zeros((1, move_size))
        actor = self.actor.init(actor_key, observations)
        critic = self.critic.init(critic_key, observations, moves)
        log_temp = jnp.asarray(math.log(start_temp), jnp.float32)
        self.learner = LearnerState(
            actor=actor,
            critic=critic,
            slow_critic=jax.tree_util.tree_map(jnp.copy, critic),
            log_temp=log_temp,
            actor_adam=self.optimiser.init(actor),
            critic_adam=self.optimiser.init(critic),
            temp_adam=self.optimiser.init(log_temp),
            key=key,
        )

    def watch(self, observations: np.ndarray) -> None:
        if self.standardise:
            self.standardiser.absorb(observations)

    def _ready(self, observations: jnp.ndarray) -> jnp.ndarray:
        return self.standardiser(observations) if self.standardise else observations

    @partial(jax.jit, static_argnums=0)
    def _mode(self, actor, observations):
        return jnp.tanh(self.actor.apply(actor, observations)[0])

    @partial(jax.jit, static_argnums=0)
    def _explore(self, actor, observations, key):
        return self.actor.apply(actor, observations, key, method=TanhActor.draw)[0]

    def move(self, observations: np.ndarray, greedy: bool = False) -> np.ndarray:
        h = self._ready(jnp.asarray(observations, dtype=jnp.float32))
        if greedy:
            return np.asarray(self._mode(self.learner.actor, h))
        key, draw_key = jax.random.split(self.learner.key)
        self.learner = self.learner.replace(key=key)
        return np.asarray(self._explore(self.learner.actor, h, draw_key))

    def learn(self, samples: Samples) -> tuple[dict[str, float], np.ndarray]:
        """Gradient step for critics, actor and temperature, in that order; figures and TD magnitudes."""
        samples = samples._replace(observations=self._ready(samples.observations),
                                   bootstrap_observations=self._ready(samples.bootstrap_observations))
        self.learner, figures, td = self._learn(self.learner, samples)
        return {name: float(figure) for name, figure in figures.items()}, np.asarray(td)

    @partial(jax.jit, static_argnums=0)
    def _learn(self, learner: LearnerState, samples: Samples):
        key, ahead_key, here_key = jax.random.split(learner.key, 3)
        temp = jnp.exp(learner.log_temp)

        ahead_moves, ahead_logp = self.actor.apply(learner.actor, samples.bootstrap_observations, ahead_key,
                                                   method=TanhActor.draw)
        ahead_value = jnp.minimum(*self.critic.apply(learner.slow_critic, samples.bootstrap_observations,
                                                     ahead_moves)) - temp * ahead_logp
        goal = jax.lax.stop_gradient(samples.returns + samples.bootstrap_factors * ahead_value)

        def critic_objective(critic):
            value_a, value_b = self.critic.apply(critic, samples.observations, samples.moves)
            objective = (samples.is_weights * ((value_a - goal) ** 2 + (value_b - goal) ** 2)).mean()
            return objective, (value_a, value_b)

        (critic_cost, (value_a, value_b)), slope = jax.value_and_grad(critic_objective, has_aux=True)(learner.critic)
        critic, critic_adam = self._apply(slope, learner.critic_adam, learner.critic)

        def actor_objective(actor):
            moves, logp = self.actor.apply(actor, samples.observations, here_key, method=TanhActor.draw)
            value = jnp.minimum(*self.critic.apply(critic, samples.observations, moves))
            return (temp * logp - value).mean(), logp

        (actor_cost, logp), slope = jax.value_and_grad(actor_objective, has_aux=True)(learner.actor)
        actor, actor_adam = self._apply(slope, learner.actor_adam, learner.actor)

        def temp_objective(log_temp):
            return -(log_temp * (jax.lax.stop_gradient(logp) + self.entropy_aim)).mean()

        slope = jax.grad(temp_objective)(learner.log_temp)
        log_temp, temp_adam = self._apply(slope, learner.temp_adam, learner.log_temp)

        slow_critic = optax.incremental_update(critic, learner.slow_critic, self.polyak)
        td = 0.5 * (jnp.abs(value_a - goal) + jnp.abs(value_b - goal))
        figures = {"critic_cost": critic_cost, "actor_cost": actor_cost, "temp": temp,
                   "entropy": -logp.mean(), "value_mean": value_a.mean()}
        learner = LearnerState(actor, critic, slow_critic, log_temp, actor_adam, critic_adam, temp_adam, key)
        return learner, figures, td

    def _apply(self, slope, adam, weights):
        updates, adam = self.optimiser.update(slope, adam, weights)
        return optax.apply_updates(weights, updates), adam

    def export(self) -> dict:
        exported = flax.serialization.to_state_dict(self.learner)
        exported["standardiser"] = {"mu": self.standardiser.mu, "sigma2": self.standardiser.sigma2,
                                    "n": self.standardiser.n}
        return exported

    def restore(self, exported: dict) -> None:
        exported = dict(exported)
        for name, value in exported.pop("standardiser").items():
            setattr(self.standardiser, name, value)
        self.learner = flax.serialization.from_state_dict(self.learner, exported)

"""Flax agent: policy and value networks with an optional GRU, and observation statistics."""

from typing import Any, NamedTuple

import flax.linen as nn
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.initializers import orthogonal, zeros_init


class AgentSettings(NamedTuple):
    features: int = 64
    num_layers: int = 2
    use_rnn: bool = False
    rnn_features: int = 64
    initial_log_scale: float = 0.0
    obs_bound: float = 10.0


class ObsStats:
    """Running statistics, kept on the host since JAX has no float64 by default."""

    def __init__(self, size: int, bound: float):
        self.bound = bound
        self.average = np.zeros(size, dtype=np.float64)
        self.variance = np.ones(size, dtype=np.float64)
        self.seen = np.float64(1e-4)

    def include(self, obs: np.ndarray) -> None:
        obs = np.asarray(obs, dtype=np.float64)
        batch_average, batch_variance, batch_seen = obs.mean(axis=0), obs.var(axis=0), obs.shape[0]
        total = self.seen + batch_seen
        ratio = batch_seen / total
        shift = batch_average - self.average
        self.variance = (
            (1 - ratio) * self.variance + ratio * batch_variance + ratio * (1 - ratio) * np.square(shift)
        )
        self.average = self.average + ratio * shift
        self.seen = total

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        normalized = (obs - self.average) / np.sqrt(self.variance + 1e-8)
        return np.clip(normalized, -self.bound, self.bound).astype(np.float32)

    def to_state(self) -> dict[str, np.ndarray]:
        return {"average": self.average, "variance": self.variance, "seen": self.seen}

    def from_state(self, state: dict[str, np.ndarray]) -> None:
        self.average, self.variance, self.seen = state["average"], state["variance"], state["seen"]


class CategoricalDist(NamedTuple):
    logits: jax.Array

    def sample(self, key):
        return jax.random.categorical(key, self.logits, axis=-1)

    def log_prob(self, action):
        log_p = jax.nn.log_softmax(self.logits, axis=-1)
        return jnp.take_along_axis(log_p, action[..., None], axis=-1).squeeze(-1)

    def entropy(self):
        log_p = jax.nn.log_softmax(self.logits, axis=-1)
        return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)


class DiagonalNormal(NamedTuple):
    loc: jax.Array
    scale: jax.Array

    def sample(self, key):
        return self.loc + self.scale * jax.random.normal(key, self.loc.shape)

    def log_prob(self, action):
        return jax.scipy.stats.norm.logpdf(action, loc=self.loc, scale=self.scale).sum(axis=-1)

    def entropy(self):
        per_dim = 0.5 * jnp.log(2 * jnp.pi * jnp.e) + jnp.log(self.scale)
        return jnp.broadcast_to(per_dim, self.loc.shape).sum(axis=-1)


def dense(features: int, scale: float, name: str | None = None) -> nn.Dense:
    return nn.Dense(features, kernel_init=orthogonal(scale), bias_init=zeros_init(), name=name)


class PolicyHead(nn.Module):
    """Chooses the distribution that fits the action space."""

    space: Any
    initial_log_scale: float

    @nn.compact
    def __call__(self, h):
        if isinstance(self.space, gym.spaces.Discrete):
            return CategoricalDist(logits=dense(int(self.space.n), 0.01, name="proj")(h))
        if not isinstance(self.space, gym.spaces.Box):
            raise TypeError(f"actions of type {type(self.space).__name__} are not supported")
        size = int(self.space.shape[0])
        log_scale = self.param("log_scale", nn.initializers.constant(self.initial_log_scale), (size,))
        loc = dense(size, 0.01, name="proj")(h)
        return DiagonalNormal(loc=loc, scale=jnp.exp(log_scale))


class TanhNet(nn.Module):
    features: int
    num_layers: int

    @nn.compact
    def __call__(self, h):
        for i in range(self.num_layers):
            h = nn.tanh(dense(self.features, 2**0.5, name=f"fc{i}")(h))
        return h


class TorchGRUCell(nn.Module):
    """The GRU with PyTorch's gate order and both of its biases."""

    features: int

    @nn.compact
    def __call__(self, carry, inputs):
        x, begins = inputs
        carry = carry * (1.0 - begins)[..., None]
        bound = self.features**-0.5

        def uniform(key, shape, dtype=jnp.float32):
            return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)

        gates_x = nn.Dense(3 * self.features, kernel_init=uniform, bias_init=uniform, name="input")(x)
        gates_h = nn.Dense(3 * self.features, kernel_init=uniform, bias_init=uniform, name="hidden")(carry)
        r_x, z_x, n_x = jnp.split(gates_x, 3, axis=-1)
        r_h, z_h, n_h = jnp.split(gates_h, 3, axis=-1)
        r, z = nn.sigmoid(r_x + r_h), nn.sigmoid(z_x + z_h)
        n = nn.tanh(n_x + r * n_h)
        carry = (1.0 - z) * n + z * carry
        return carry, carry


class FlaxAgent(nn.Module):
    """Two networks, one for the policy and one for the value; time is the leading axis."""

    action_space: Any
    settings: AgentSettings

    def setup(self):
        s = self.settings
        self.rnn = (
            nn.scan(TorchGRUCell, variable_broadcast="params", split_rngs={"params": False})(s.rnn_features)
            if s.use_rnn
            else None
        )
        self.policy_net = TanhNet(s.features, s.num_layers)
        self.value_net = TanhNet(s.features, s.num_layers)
        self.policy_head = PolicyHead(self.action_space, s.initial_log_scale)
        self.value_out = dense(1, 1.0)

    def __call__(self, obs, begins, carry):
        """obs [T, B, O] (normalised), begins [T, B], carry [B, M] -> distribution, values, carry."""
        h = obs
        if self.rnn is not None:
            carry, h = self.rnn(carry, (obs, begins))
        values = self.value_out(self.value_net(h)).squeeze(-1)
        return self.policy_head(self.policy_net(h)), values, carry


def zero_carry(settings: AgentSettings, batch: int) -> jax.Array:
    size = settings.rnn_features if settings.use_rnn else 0
    return jnp.zeros((batch, size))

"""Twin-delayed DDPG. Actions live in [-1, 1]; rescaling is the environment's job."""
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization, struct


@dataclasses.dataclass(frozen=True)
class TD3Config:
    hidden: Sequence[int] = (256, 256)
    lr: float = 3e-4
    discount: float = 0.99
    polyak: float = 0.005
    smoothing_std: float = 0.2
    smoothing_clip: float = 0.5
    actor_every: int = 2


class MLP(nn.Module):
    hidden: Sequence[int]
    out_dim: int
    squash: bool = False

    @nn.compact
    def __call__(self, x):
        for width in self.hidden:
            x = nn.relu(nn.Dense(width)(x))
        x = nn.Dense(self.out_dim)(x)
        return jnp.tanh(x) if self.squash else x


class TwinQ(nn.Module):
    """Two independent critics evaluated in one call; output has shape (2, batch)."""
    hidden: Sequence[int]

    @nn.compact
    def __call__(self, obs, act):
        pair = nn.vmap(MLP, variable_axes={"params": 0}, split_rngs={"params": True},
                       in_axes=None, out_axes=0, axis_size=2)
        return pair(self.hidden, 1)(jnp.concatenate([obs, act], axis=-1)).squeeze(-1)


@struct.dataclass
class Learner:
    pi: Any
    pi_target: Any
    pi_opt: Any
    q: Any
    q_target: Any
    q_opt: Any
    key: jax.Array
    updates: jax.Array


class TD3:
    def __init__(self, obs_dim, act_dim, config=TD3Config(), seed=0):
        self.config = config
        self.policy = MLP(config.hidden, act_dim, squash=True)
        self.critic = TwinQ(config.hidden)
        self.tx = optax.adam(config.lr)  # stateless, shared by actor and critics

        key, pi_key, q_key = jax.random.split(jax.random.PRNGKey(seed), 3)
        obs, act = jnp.zeros((1, obs_dim)), jnp.zeros((1, act_dim))
        pi = self.policy.init(pi_key, obs)
        q = self.critic.init(q_key, obs, act)
        self.learner = Learner(pi, pi, self.tx.init(pi), q, q, self.tx.init(q),
                               key, jnp.zeros((), jnp.int32))
        self._greedy = jax.jit(self.policy.apply)
        self._noise = np.random.default_rng(seed)

    def act(self, obs, noise_std=0.0):
        action = np.asarray(self._greedy(self.learner.pi, jnp.asarray(obs, jnp.float32)))
        if noise_std > 0:
            action = action + self._noise.normal(0.0, noise_std, action.shape)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def learn(self, batch):
        self.learner, info = self._critic_step(self.learner, batch)
        if int(self.learner.updates) % self.config.actor_every == 0:
            self.learner, actor_loss = self._actor_step(self.learner, batch.obs)
            info["actor_loss"] = actor_loss
        return info

    @partial(jax.jit, static_argnums=0)
    def _critic_step(self, s, batch):
        c = self.config
        key, sub = jax.random.split(s.key)
        jitter = jnp.clip(c.smoothing_std * jax.random.normal(sub, batch.act.shape),
                          -c.smoothing_clip, c.smoothing_clip)
        next_act = jnp.clip(self.policy.apply(s.pi_target, batch.next_obs) + jitter, -1.0, 1.0)
        next_q = self.critic.apply(s.q_target, batch.next_obs, next_act).min(axis=0)
        backup = batch.rew + c.discount * batch.mask * next_q

        def loss_fn(params):
            values = self.critic.apply(params, batch.obs, batch.act)
            return jnp.square(values - backup).mean(axis=1).sum(), values.mean()

        (loss, mean_q), grads = jax.value_and_grad(loss_fn, has_aux=True)(s.q)
        step, q_opt = self.tx.update(grads, s.q_opt)
        s = s.replace(q=optax.apply_updates(s.q, step), q_opt=q_opt,
                      key=key, updates=s.updates + 1)
        return s, {"critic_loss": loss, "mean_q": mean_q}

    @partial(jax.jit, static_argnums=0)
    def _actor_step(self, s, obs):
        def loss_fn(params):
            return -self.critic.apply(s.q, obs, self.policy.apply(params, obs))[0].mean()

        loss, grads = jax.value_and_grad(loss_fn)(s.pi)
        step, pi_opt = self.tx.update(grads, s.pi_opt)
        pi = optax.apply_updates(s.pi, step)
        rate = self.config.polyak
        return s.replace(pi=pi, pi_opt=pi_opt,
                         pi_target=optax.incremental_update(pi, s.pi_target, rate),
                         q_target=optax.incremental_update(s.q, s.q_target, rate)), loss

    def save(self, path):
        Path(path).write_bytes(serialization.to_bytes(self.learner))

    def restore(self, path):
        learner = serialization.from_bytes(self.learner, Path(path).read_bytes())
        self.learner = jax.tree_util.tree_map(jnp.asarray, learner)

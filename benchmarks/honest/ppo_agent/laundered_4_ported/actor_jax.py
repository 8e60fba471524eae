"""Acting in vectorised environments; trajectories are stacked NumPy arrays in a pytree."""

from collections import deque
from functools import partial
from typing import NamedTuple

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from agent_flax import ObsStats, zero_carry


class Trajectory(NamedTuple):
    """Leading axes [T, B]."""

    obs: jax.Array  # already normalised
    actions: jax.Array
    log_probs: jax.Array
    values: jax.Array
    begins: jax.Array
    advantages: jax.Array
    targets: jax.Array

    def merge_axes(self):
        return jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), self)

    def take(self, index):
        return jax.tree.map(lambda x: x[:, index], self)


@partial(jax.jit, static_argnames=("discount", "trace"))
def gae_scan(rewards, values, dones, final_value, discount, trace):
    """Advantages [T, B], computed with a reversed scan."""
    following = jnp.concatenate([values[1:], final_value[None]], axis=0)
    not_done = 1.0 - dones
    deltas = rewards + discount * not_done * following - values
    decays = discount * trace * not_done

    def body(acc, inputs):
        delta, decay = inputs
        acc = delta + decay * acc
        return acc, acc

    _, advantages = jax.lax.scan(body, jnp.zeros_like(final_value), (deltas, decays), reverse=True)
    return advantages


def vector_env(name: str, count: int) -> gym.vector.SyncVectorEnv:
    return gym.vector.SyncVectorEnv(
        [lambda: gym.make(name) for _ in range(count)],
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )


class Actor:
    def __init__(self, env, agent, stats: ObsStats, seed: int):
        self.env = env
        self.agent = agent
        self.stats = stats
        self.apply = jax.jit(agent.apply)
        obs, _ = env.reset(seed=seed)
        self.obs = np.asarray(obs, dtype=np.float32)
        self.begins = np.ones(env.num_envs, dtype=np.float32)
        self.carry = zero_carry(agent.settings, env.num_envs)
        self.running_return = np.zeros(env.num_envs)
        self.returns: deque[float] = deque(maxlen=100)

    def value(self, params, obs, begins):
        _, values, _ = self.apply(params, self.stats(obs)[None], begins[None], self.carry)
        return values[0]

    def add_truncation_value(self, params, rewards, truncated, info, discount):
        if not truncated.any():
            return rewards
        last_obs = self.obs.copy()
        for i in np.flatnonzero(truncated):
            last_obs[i] = info["final_obs"][i]
        values = np.asarray(self.value(params, last_obs, np.zeros_like(self.begins)))
        return rewards + discount * np.where(truncated, values, 0.0).astype(np.float32)

    def count_returns(self, rewards, done):
        self.running_return += rewards
        self.returns.extend(self.running_return[done].tolist())
        self.running_return[done] = 0.0

    def rollout(self, params, key, *, length: int, discount: float, trace: float):
        """Returns a trajectory and the carry that it started from."""
        initial_carry = self.carry
        buffer = {k: [] for k in ("obs", "actions", "log_probs", "values", "begins", "rewards", "dones")}
        for _ in range(length):
            key, sample_key = jax.random.split(key)
            self.stats.include(self.obs)
            normalized = self.stats(self.obs)
            dist, values, carry = self.apply(params, normalized[None], self.begins[None], self.carry)
            actions = dist.sample(sample_key)
            next_obs, reward, terminated, truncated, info = self.env.step(np.asarray(actions[0]))
            done = terminated | truncated
            self.count_returns(reward, done)
            self.carry = carry
            rewards = np.asarray(reward, dtype=np.float32)
            rewards = self.add_truncation_value(params, rewards, truncated & ~terminated, info, discount)

            done = done.astype(np.float32)
            row = (normalized, actions[0], dist.log_prob(actions)[0], values[0], self.begins, rewards, done)
            for k, x in zip(buffer, row):
                buffer[k].append(x)
            self.obs, self.begins = np.asarray(next_obs, dtype=np.float32), done

        stacked = {k: jnp.stack(xs) for k, xs in buffer.items()}
        rewards, dones = stacked.pop("rewards"), stacked.pop("dones")
        final_value = self.value(params, self.obs, self.begins)
        advantages = gae_scan(rewards, stacked["values"], dones, final_value, discount, trace)
        targets = advantages + stacked["values"]
        return Trajectory(**stacked, advantages=advantages, targets=targets), initial_carry


def batches(key, trajectory: Trajectory, initial_carry, *, count: int, use_rnn: bool):
    """Random minibatches; with an RNN they consist of whole environments."""
    if not use_rnn:
        trajectory = trajectory.merge_axes()
        initial_carry = jnp.zeros((trajectory.obs.shape[1], 0))
    order = jax.random.permutation(key, trajectory.obs.shape[1])
    for index in jnp.array_split(order, count):
        yield trajectory.take(index), initial_carry[index]

"""Collect experience from vectorised environments and estimate advantages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import gymnasium as gym
import numpy as np
import torch
from policy import ActorCritic
from torch import Tensor


@dataclass
class Rollout:
    """Experience of T steps in B environments; every tensor starts with (T, B)."""

    obs: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    starts: Tensor  # 1 where obs is the first of an episode
    advantages: Tensor
    returns: Tensor

    def flatten(self) -> Rollout:
        """(T, B, ...) -> (1, T * B, ...): every step on its own."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return Rollout(**{name: x.reshape(1, -1, *x.shape[2:]) for name, x in tensors.items()})

    def select(self, index: Tensor) -> Rollout:
        """Keep some columns of the second axis."""
        return Rollout(**{f.name: getattr(self, f.name)[:, index] for f in fields(self)})


def estimate_advantages(
    *, rewards: Tensor, values: Tensor, dones: Tensor, last_value: Tensor, gamma: float, lam: float
) -> Tensor:
    """Generalised advantage estimation over (T, B); dones is 1 if the episode ended with that step."""
    next_values = torch.cat([values[1:], last_value.unsqueeze(0)], dim=0)  # (T, B)
    alive = 1.0 - dones
    residuals = rewards + gamma * alive * next_values - values
    discounts = gamma * lam * alive
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(last_value)  # (B,)
    for t in reversed(range(rewards.shape[0])):
        running = residuals[t] + discounts[t] * running
        advantages[t] = running
    return advantages


def make_envs(*, env_id: str, num_envs: int) -> gym.vector.SyncVectorEnv:
    """Copies of one environment that start a new episode in the step that ends the old one."""
    return gym.vector.SyncVectorEnv(
        [lambda: gym.make(env_id) for _ in range(num_envs)],
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )


class Collector:
    """Holds the environments' current state between rollouts."""

    def __init__(self, envs: gym.vector.VectorEnv, policy: ActorCritic, *, seed: int, device: torch.device):
        self.envs = envs
        self.policy = policy
        self.device = device
        obs, _ = envs.reset(seed=seed)
        self.obs = self.to_tensor(obs)  # (B, O)
        self.starts = torch.ones(envs.num_envs, device=device)
        self.state = policy.initial_state(envs.num_envs, device)
        self.episode_return = np.zeros(envs.num_envs)
        self.finished: deque[float] = deque(maxlen=100)  # returns of the latest episodes

    def to_tensor(self, array: np.ndarray) -> Tensor:
        """Float tensor on the device."""
        return torch.as_tensor(array, dtype=torch.float32, device=self.device)

    def evaluate(self, obs: Tensor, starts: Tensor) -> Tensor:
        """Values (B,) of observations (B, O) given the present memory."""
        _, values, _ = self.policy(obs.unsqueeze(0), starts=starts.unsqueeze(0), state=self.state)
        return values.squeeze(0)

    def bootstrap_truncated(self, rewards: Tensor, truncated: np.ndarray, info: dict, gamma: float) -> None:
        """Add the value of the state that a time limit cut off, since the episode would have gone on."""
        if not truncated.any():
            return
        final = self.obs.clone()  # other rows are not used
        for i in np.flatnonzero(truncated):
            final[i] = self.to_tensor(info["final_obs"][i])
        cut = torch.as_tensor(truncated, device=self.device)
        values = self.evaluate(final, torch.zeros_like(self.starts))
        rewards[cut] += gamma * values[cut]

    def track(self, rewards: np.ndarray, done: np.ndarray) -> None:
        """Remember the return of each episode that ended."""
        self.episode_return += rewards
        self.finished.extend(self.episode_return[done].tolist())
        self.episode_return[done] = 0.0

    @torch.no_grad()
    def collect(self, *, num_steps: int, gamma: float, lam: float) -> tuple[Rollout, Tensor]:
        """Run num_steps steps; also returns the memory (B, M) from before the first of them."""
        first_state = self.state
        steps: dict[str, list[Tensor]] = {
            name: [] for name in ("obs", "actions", "log_probs", "values", "starts", "rewards", "dones")
        }
        for _ in range(num_steps):
            self.policy.normalizer.update(self.obs)
            dist, values, state = self.policy(
                self.obs.unsqueeze(0), starts=self.starts.unsqueeze(0), state=self.state
            )
            actions = dist.sample()  # (1, B, ...)
            obs, reward, terminated, truncated, info = self.envs.step(actions[0].cpu().numpy())
            done = terminated | truncated
            self.track(reward, done)
            self.state = state
            rewards = self.to_tensor(reward)
            self.bootstrap_truncated(rewards, truncated & ~terminated, info, gamma)

            record = (self.obs, actions[0], dist.log_prob(actions)[0], values[0], self.starts, rewards)
            for name, value in zip(steps, (*record, self.to_tensor(done)), strict=True):
                steps[name].append(value)
            self.obs, self.starts = self.to_tensor(obs), self.to_tensor(done)

        data = {name: torch.stack(items) for name, items in steps.items()}
        rewards, dones = data.pop("rewards"), data.pop("dones")
        advantages = estimate_advantages(
            rewards=rewards,
            values=data["values"],
            dones=dones,
            last_value=self.evaluate(self.obs, self.starts),
            gamma=gamma,
            lam=lam,
        )
        returns = advantages + data["values"]
        return Rollout(**data, advantages=advantages, returns=returns), first_state


def minibatches(
    rollout: Rollout, first_state: Tensor, *, count: int, recurrent: bool
) -> Iterator[tuple[Rollout, Tensor]]:
    """Random parts of a rollout: single steps, or whole environments if there is a memory to unroll."""
    if not recurrent:
        rollout = rollout.flatten()
        first_state = first_state.new_zeros(rollout.obs.shape[1], 0)
    for index in torch.randperm(rollout.obs.shape[1], device=rollout.obs.device).chunk(count):
        yield rollout.select(index), first_state[index]

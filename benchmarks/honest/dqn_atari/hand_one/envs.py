"""Atari preprocessing."""
from collections import deque

import ale_py
import cv2
import gymnasium as gym
import numpy as np

gym.register_envs(ale_py)


class NoopStart(gym.Wrapper):
    """Begin each game with a random number of idle frames."""

    def __init__(self, env, limit=30):
        super().__init__(env)
        self.limit = limit

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        for _ in range(self.unwrapped.np_random.integers(1, self.limit + 1)):
            obs, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                obs, info = self.env.reset()
        return obs, info


class SkipAndMax(gym.Wrapper):
    """Repeat the action and merge the last two frames, which removes sprite flicker."""

    def __init__(self, env, repeat=4):
        super().__init__(env)
        self.repeat = repeat

    def step(self, action):
        total, frames = 0.0, deque(maxlen=2)
        for _ in range(self.repeat):
            obs, reward, terminated, truncated, info = self.env.step(action)
            frames.append(obs)
            total += reward
            if terminated or truncated:
                break
        return np.maximum(frames[0], frames[-1]), total, terminated, truncated, info


class LifeLossEnds(gym.Wrapper):
    """Report a lost life as terminal, but only really reset when the game is over."""

    def __init__(self, env):
        super().__init__(env)
        self.lives = 0
        self.game_over = True

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.game_over = terminated or truncated
        lives = self.unwrapped.ale.lives()
        if 0 < lives < self.lives:
            terminated = True
        self.lives = lives
        return obs, reward, terminated, truncated, info

    def reset(self, **kwargs):
        if self.game_over:
            obs, info = self.env.reset(**kwargs)
        else:
            obs, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                obs, info = self.env.reset(**kwargs)
        self.game_over = False
        self.lives = self.unwrapped.ale.lives()
        return obs, info


class GrayStack(gym.Wrapper):
    """84x84 grey frames, the last few stacked on the channel axis."""

    def __init__(self, env, size=84, depth=4):
        super().__init__(env)
        self.size = size
        self.frames = deque(maxlen=depth)
        self.observation_space = gym.spaces.Box(0, 255, (depth, size, size), np.uint8)

    def shrink(self, rgb):
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        return cv2.resize(gray, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        self.frames.extend([self.shrink(obs)] * self.frames.maxlen)
        return np.stack(self.frames), info

    def step(self, action):
        obs, *rest = self.env.step(action)
        self.frames.append(self.shrink(obs))
        return (np.stack(self.frames), *rest)


def make_env(game, training=True):
    env = gym.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0)
    env = SkipAndMax(NoopStart(env))
    if training:
        env = LifeLossEnds(env)
    return GrayStack(env)

"""Atari preprocessing as gymnasium wrappers."""
from collections import deque

import cv2
import gymnasium as gym
import numpy as np


class RandomNoops(gym.Wrapper):
    def __init__(self, env, most=30):
        super().__init__(env)
        self.most = most

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        for _ in range(self.unwrapped.np_random.integers(1, self.most + 1)):
            obs, *_, info = self.env.step(0)
        return obs, info


class PressFire(gym.Wrapper):
    def reset(self, **kwargs):
        self.env.reset(**kwargs)
        obs, *_, info = self.env.step(1)  # some games wait for FIRE
        return obs, info


class RepeatAndMax(gym.Wrapper):
    """Repeat each action; show the maximum of the last two frames to undo sprite flicker."""

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
        return np.max(np.stack(frames), axis=0), total, terminated, truncated, info


class LifeLoss(gym.Wrapper):
    """End the episode whenever a life is lost, but reset the game only when it is over."""

    def __init__(self, env):
        super().__init__(env)
        self.lives = 0
        self.over = True

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.over = terminated or truncated
        lives = self.unwrapped.ale.lives()
        if 0 < lives < self.lives:
            terminated = True
        self.lives = lives
        return obs, reward, terminated, truncated, info

    def reset(self, **kwargs):
        if self.over:
            obs, info = self.env.reset(**kwargs)
        else:
            obs, *_, info = self.env.step(0)
        self.over = False
        self.lives = self.unwrapped.ale.lives()
        return obs, info


class GrayStack(gym.ObservationWrapper):
    """Grey 84x84 frames, the last few stacked on the first axis."""

    def __init__(self, env, count=4, size=84):
        super().__init__(env)
        self.size = size
        self.frames = deque(maxlen=count)
        self.observation_space = gym.spaces.Box(0, 255, (count, size, size), np.uint8)

    def observation(self, obs):
        gray = cv2.cvtColor(obs, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(gray, (self.size, self.size), interpolation=cv2.INTER_AREA)
        self.frames.append(small)
        while len(self.frames) < self.frames.maxlen:
            self.frames.append(small)
        return np.stack(self.frames)

    def reset(self, **kwargs):
        self.frames.clear()
        return super().reset(**kwargs)


def make_atari(name, training=True, render_mode=None):
    env = gym.make(name, frameskip=1, repeat_action_probability=0.0, render_mode=render_mode)
    env = RepeatAndMax(RandomNoops(env))
    if training:
        env = LifeLoss(env)
    if env.unwrapped.get_action_meanings()[1] == "FIRE":
        env = PressFire(env)
    return GrayStack(env)

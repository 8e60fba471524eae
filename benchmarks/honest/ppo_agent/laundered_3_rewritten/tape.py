"""Playing and crediting: a tape that is written tick by tick and read in shuffled columns."""

import gymnasium as gym
import numpy as np
import torch


class Tape:
    """Named tracks of equal length, preallocated."""

    def __init__(self, ticks, lanes, tracks):
        self.tracks = {k: torch.zeros((ticks, lanes, *shape), dtype=t) for k, (shape, t) in tracks.items()}
        self.head = 0

    def write(self, **values):
        for k, v in values.items():
            self.tracks[k][self.head] = v
        self.head += 1

    def __getattr__(self, name):
        try:
            return self.__dict__["tracks"][name]
        except KeyError:
            raise AttributeError(name) from None


def suffix_scan(decay, x):
    """y[t] = x[t] + decay[t] * y[t + 1] for all t in log2(T) strides."""
    stride, length = 1, x.shape[0]
    while stride < length:
        x = torch.cat([x[:-stride] + decay[:-stride] * x[stride:], x[-stride:]])
        decay = torch.cat([decay[:-stride] * decay[stride:], decay[-stride:]])
        stride *= 2
    return x


def credit(tape, tail, discount, smoothing):
    """Append the tracks "gain" and "goal" to the tape."""
    going = discount * (1.0 - tape.end)
    ahead = torch.roll(tape.worth, -1, 0)
    ahead[-1] = tail
    surprise = torch.addcmul(tape.reward - tape.worth, going, ahead)
    tape.tracks["gain"] = suffix_scan(smoothing * going, surprise)
    tape.tracks["goal"] = tape.gain + tape.worth


def player(settings, law, seed):
    """A coroutine around the environments: send it the network, receive (tape, memory, recent scores)."""
    task, lanes = settings.task, settings.task.lanes
    world = gym.vector.SyncVectorEnv(
        [lambda: gym.make(task.name)] * lanes, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    obs = torch.from_numpy(np.float32(world.reset(seed=seed)[0]))
    flags, real = ((), torch.float32), torch.float32
    layout = {
        "obs": (obs.shape[1:], real), "action": (law.event, law.dtype), "logp": flags, "worth": flags,
        "fresh": flags, "reward": flags, "end": flags,
    }
    fresh, score, scores, state = torch.ones(lanes), np.zeros(lanes), [], None
    net = yield world
    while True:
        state = torch.zeros(lanes, net.n_state) if state is None else state
        before, tape = state, Tape(task.ticks, lanes, layout)
        with torch.no_grad():
            for _ in range(task.ticks):
                net.whiten.feed(obs)
                seen = net(obs[None], fresh[None], state)
                action = law.draw(seen.out[0], net.log_scale)
                logp, _ = law.score(seen.out[0], net.log_scale, action)
                raw, pay, dead, late, info = world.step(action.numpy())
                over, state = dead | late, seen.state
                reward = torch.from_numpy(np.float32(pay))
                lost = np.where(late & ~dead)[0]
                if lost.size:  # an episode that only ran out of time still had a future
                    last = obs.clone()
                    last[lost] = torch.from_numpy(np.float32(np.stack([info["final_obs"][i] for i in lost])))
                    future = net(last[None], torch.zeros(1, lanes), state).worth[0]
                    reward[lost] += settings.credit.discount * future[lost]
                end = torch.from_numpy(np.float32(over))
                tape.write(obs=obs, action=action, logp=logp, worth=seen.worth[0], fresh=fresh, reward=reward, end=end)
                score = score + pay
                scores = (scores + list(score[over]))[-100:]
                score = np.where(over, 0.0, score)
                obs, fresh = torch.from_numpy(np.float32(raw)), end
            tail = net(obs[None], fresh[None], state).worth[0]
            credit(tape, tail, settings.credit.discount, settings.credit.smoothing)
        net = yield tape, before, scores

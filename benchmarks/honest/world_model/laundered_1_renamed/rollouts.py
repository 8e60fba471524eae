'''Camera view of a control task, plus the memory that stores what happened in it.'''

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F


class CameraTask:
    '''Wraps a gymnasium task with continuous controls.

    The caller gets small rendered pictures and sends controls scaled to [-1, 1].
    '''

    def __init__(self, task_id, hold=2, rng_seed=0):
        self.sim = gym.make(
            task_id,
            render_mode='rgb_array',
        )
        self.ctrl_min, self.ctrl_max = (
            self.sim.action_space.low,
            self.sim.action_space.high,
        )
        self.ctrl_dim = self.sim.action_space.shape[0]
        self.hold, self.rng_seed = hold, rng_seed

    def _snapshot(self):
        picture = (
            torch.from_numpy(np.array(self.sim.render()))
            .permute(2, 0, 1)[None]
            .float()
        )
        return (
            F.interpolate(picture, size=(64, 64), mode='area')[0]
            .byte()
            .numpy()
        )

    def restart(self):
        self.sim.reset(seed=self.rng_seed)
        # later calls continue the random stream of the simulator
        self.rng_seed = None
        return self._snapshot()

    def advance(self, ctrl):
        '''Apply one control; gives (picture, gain, failed, timed_out).'''
        ctrl = (
            self.ctrl_min
            + (np.asarray(ctrl) + 1) / 2 * (self.ctrl_max - self.ctrl_min)
        )
        gain_sum, failed, timed_out = 0.0, False, False
        for _ in range(self.hold):
            _, gain, failed, timed_out, _ = self.sim.step(
                ctrl.astype(np.float32)
            )
            gain_sum += float(gain)
            if failed or timed_out:
                break
        return self._snapshot(), gain_sum, failed, timed_out


class TransitionStore:
    '''Fixed-size circular memory; the oldest entries are overwritten.

    Every entry keeps the picture, the control and gain that preceded it, an
    "alive" flag and a flag marking the opening of a rollout. Windows drawn
    from it do not respect rollout borders.
    '''

    def __init__(self, max_items, ctrl_dim, rng_seed=0):
        self.columns = {
            'picture': np.zeros((max_items, 3, 64, 64), np.uint8),
            'ctrl': np.zeros((max_items, ctrl_dim), np.float32),
            'gain': np.zeros(max_items, np.float32),
            'alive': np.zeros(max_items, np.float32),
            'opening': np.zeros(max_items, np.float32),
        }
        self.max_items, self.cursor, self.filled = max_items, 0, 0
        self.generator = np.random.default_rng(rng_seed)

    def push(self, **entry):
        for column, item in entry.items():
            self.columns[column][self.cursor] = item
        self.cursor = (self.cursor + 1) % self.max_items
        self.filled = min(self.filled + 1, self.max_items)

    def draw(self, n_windows, window, dev):
        '''Dictionary of tensors whose leading axes are (window, n_windows).'''
        if self.filled < window:
            raise ValueError(
                f'memory has {self.filled} entries but a window takes {window}'
            )
        origin = self.generator.integers(
            0,
            self.filled - window + 1,
            n_windows,
        )
        slots = (
            self.cursor
            - self.filled
            + origin[None]
            + np.arange(window)[:, None]
        ) % self.max_items
        chunk = {
            column: torch.as_tensor(items[slots], device=dev)
            for column, items in self.columns.items()
        }
        # we cannot tell what came earlier, hence a fresh belief
        chunk['opening'][0] = 1.0
        return chunk

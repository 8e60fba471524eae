'''Building blocks: convolutional coder pair, stochastic recurrent dynamics, controller.'''

import math
from collections import namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Independent, Normal, kl_divergence


# What is believed at one moment: recurrent part, sampled part, and the
# location/scale of the distribution the sample came from.
Belief = namedtuple('Belief', 'memory sample loc scale')


def flat_belief(belief):
    return torch.cat(
        [belief.memory, belief.sample],
        dim=-1,
    )


def apply_to_belief(op, belief):
    return Belief(
        *(op(field) for field in belief)
    )


def pile_beliefs(beliefs):
    return Belief(
        *(torch.stack(fields) for fields in zip(*beliefs))
    )


def dense_stack(d_in, d_out, hidden=256, n_hidden=2):
    blocks = []
    for _ in range(n_hidden):
        blocks += [
            nn.Linear(d_in, hidden),
            nn.ELU(),
        ]
        d_in = hidden
    return nn.Sequential(
        *blocks,
        nn.Linear(d_in, d_out),
    )


class PictureReader(nn.Module):
    '''Compresses float pictures to vectors, any number of leading axes.'''

    def __init__(self, channels=32):
        super().__init__()
        plan = [
            3,
            channels,
            2 * channels,
            4 * channels,
            8 * channels,
        ]
        blocks = []
        for c_in, c_out in zip(plan, plan[1:]):
            blocks += [
                nn.Conv2d(c_in, c_out, 4, stride=2),
                nn.ELU(),
            ]
        self.tower = nn.Sequential(*blocks, nn.Flatten())
        self.code_dim = 8 * channels * 2 * 2

    def forward(self, picture):
        code = self.tower(
            picture.reshape(-1, *picture.shape[-3:])
        )
        return code.reshape(*picture.shape[:-3], self.code_dim)


class PicturePainter(nn.Module):

    def __init__(self, d_in, channels=32):
        super().__init__()
        self.lift = nn.Linear(d_in, 32 * channels)
        self.tower = nn.Sequential(
            nn.Unflatten(1, (32 * channels, 1, 1)),
            nn.ConvTranspose2d(32 * channels, 4 * channels, 5, stride=2),
            nn.ELU(),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 5, stride=2),
            nn.ELU(),
            nn.ConvTranspose2d(2 * channels, channels, 6, stride=2),
            nn.ELU(),
            nn.ConvTranspose2d(channels, 3, 6, stride=2),
        )

    def forward(self, vec):
        picture = self.tower(
            self.lift(vec).reshape(-1, self.lift.out_features)
        )
        return picture.reshape(*vec.shape[:-1], 3, 64, 64)


class LatentDynamics(nn.Module):

    def __init__(
        self,
        code_dim,
        ctrl_dim,
        memory_dim=200,
        sample_dim=30,
        hidden=200,
        scale_floor=0.1,
    ):
        super().__init__()
        self.memory_dim, self.sample_dim, self.scale_floor = (
            memory_dim,
            sample_dim,
            scale_floor,
        )
        self.mixer = nn.Sequential(
            nn.Linear(sample_dim + ctrl_dim, hidden),
            nn.ELU(),
        )
        self.cell = nn.GRUCell(hidden, memory_dim)
        self.guess_head = dense_stack(
            memory_dim,
            2 * sample_dim,
            hidden,
            n_hidden=1,
        )
        self.seen_head = dense_stack(
            memory_dim + code_dim,
            2 * sample_dim,
            hidden,
            n_hidden=1,
        )

    def blank(self, n_rows, dev):
        def empty(dim):
            return torch.zeros(n_rows, dim, device=dev)

        return Belief(
            empty(self.memory_dim),
            *(empty(self.sample_dim) for _ in range(3)),
        )

    def _realize(self, memory, stats):
        loc, pre_scale = stats.chunk(2, dim=-1)
        scale = F.softplus(pre_scale) + self.scale_floor
        return Belief(
            memory,
            loc + scale * torch.randn_like(scale),
            loc,
            scale,
        )

    def foresee(self, belief, ctrl):
        '''Moves on blindly, from the belief and the control only.'''
        memory = self.cell(
            self.mixer(torch.cat([belief.sample, ctrl], dim=-1)),
            belief.memory,
        )
        return self._realize(memory, self.guess_head(memory))

    def perceive(self, belief, ctrl, code, opening):
        '''Moves on and corrects with the picture code: (seen, guess).

        Rows flagged by `opening` forget everything beforehand.
        '''
        retain = 1.0 - opening[:, None]
        guess = self.foresee(
            apply_to_belief(lambda field: field * retain, belief),
            ctrl * retain,
        )
        seen = self._realize(
            guess.memory,
            self.seen_head(torch.cat([guess.memory, code], dim=-1)),
        )
        return seen, guess

    def divergence(self, seen, guess, mix=0.8, slack=1.0):
        '''Two-sided penalty, weighted so that mostly the guess has to move.'''

        def as_normal(belief, frozen):
            loc, scale = (
                (belief.loc.detach(), belief.scale.detach())
                if frozen
                else belief[2:]
            )
            return Independent(Normal(loc, scale), 1)

        pull_guess = kl_divergence(
            as_normal(seen, True),
            as_normal(guess, False),
        ).mean()
        pull_seen = kl_divergence(
            as_normal(seen, False),
            as_normal(guess, True),
        ).mean()
        penalty = (
            mix * pull_guess.clamp(min=slack)
            + (1 - mix) * pull_seen.clamp(min=slack)
        )
        return penalty, pull_guess.detach()


class Controller(nn.Module):
    '''Stochastic controller with bounded output (normal passed through tanh).'''

    def __init__(self, vec_dim, ctrl_dim):
        super().__init__()
        self.trunk = dense_stack(vec_dim, 2 * ctrl_dim, n_hidden=3)

    def forward(self, vec, greedy=False):
        '''Control and the log-density it was drawn with.'''
        loc, pre_scale = self.trunk(vec).chunk(2, dim=-1)
        # soft limit: saturated controls give no gradient
        loc = 5 * torch.tanh(loc / 5)
        normal = Normal(
            loc,
            F.softplus(pre_scale + 1.0) + 1e-2,
        )
        pre_ctrl = loc if greedy else normal.rsample()
        # change-of-variables term of tanh in its numerically safe form
        log_jac = 2 * (math.log(2) - pre_ctrl - F.softplus(-2 * pre_ctrl))
        return (
            torch.tanh(pre_ctrl),
            (normal.log_prob(pre_ctrl) - log_jac).sum(dim=-1),
        )

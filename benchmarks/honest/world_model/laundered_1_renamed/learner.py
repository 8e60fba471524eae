'''Puts the blocks together: fits the simulator, trains the controller inside it, picks controls.'''

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

from modules import (
    Controller,
    LatentDynamics,
    PicturePainter,
    PictureReader,
    apply_to_belief,
    dense_stack,
    flat_belief,
    pile_beliefs,
)


def blended_targets(gain, decay, worth, trace):
    '''Backward recursion over (time, rows) arrays; row t belongs to the outcome of control t.'''
    carry = worth[-1]
    targets = []
    for k in reversed(range(len(gain))):
        carry = gain[k] + decay[k] * (
            (1 - trace) * worth[k] + trace * carry
        )
        targets.append(carry)
    return torch.stack(targets[::-1])


def center_pixels(pictures):
    return pictures.float() / 255.0 - 0.5


class Simulator(nn.Module):

    def __init__(self, ctrl_dim):
        super().__init__()
        self.reader = PictureReader()
        self.dynamics = LatentDynamics(self.reader.code_dim, ctrl_dim)
        self.vec_dim = self.dynamics.memory_dim + self.dynamics.sample_dim
        self.painter = PicturePainter(self.vec_dim)
        self.gain_head = dense_stack(self.vec_dim, 1)
        self.alive_head = dense_stack(self.vec_dim, 1)

    def fit_error(self, chunk):
        '''Objective on a chunk (time first), the corrected beliefs, and a report.'''
        picture = center_pixels(chunk['picture'])
        codes = self.reader(picture)
        belief = self.dynamics.blank(picture.shape[1], picture.device)
        seen_list, guess_list = [], []
        for ctrl, code, opening in zip(
            chunk['ctrl'],
            codes,
            chunk['opening'],
        ):
            belief, guess = self.dynamics.perceive(
                belief,
                ctrl,
                code,
                opening,
            )
            seen_list.append(belief)
            guess_list.append(guess)
        seen, guess = pile_beliefs(seen_list), pile_beliefs(guess_list)
        vec = flat_belief(seen)
        picture_err = (
            0.5
            * (self.painter(vec) - picture)
            .pow(2)
            .sum(dim=(-3, -2, -1))
            .mean()
        )
        gain_err = (
            0.5
            * (self.gain_head(vec).squeeze(-1) - chunk['gain'])
            .pow(2)
            .mean()
        )
        alive_err = F.binary_cross_entropy_with_logits(
            self.alive_head(vec).squeeze(-1),
            chunk['alive'],
        )
        div_err, div = self.dynamics.divergence(seen, guess)
        objective = picture_err + gain_err + alive_err + div_err
        report = {
            'picture': picture_err,
            'gain': gain_err,
            'alive': alive_err,
            'div': div,
        }
        return objective, seen, report


class Learner(nn.Module):

    def __init__(
        self,
        ctrl_dim,
        lookahead=15,
        decay_rate=0.99,
        trace=0.95,
        curiosity=1e-3,
        follow_rate=0.02,
        max_norm=100.0,
    ):
        super().__init__()
        self.ctrl_dim, self.lookahead, self.decay_rate, self.trace = (
            ctrl_dim,
            lookahead,
            decay_rate,
            trace,
        )
        self.curiosity, self.follow_rate, self.max_norm = (
            curiosity,
            follow_rate,
            max_norm,
        )
        self.simulator = Simulator(ctrl_dim)
        self.controller = Controller(self.simulator.vec_dim, ctrl_dim)
        self.judge = dense_stack(self.simulator.vec_dim, 1, n_hidden=3)
        self.slow_judge = copy.deepcopy(self.judge).requires_grad_(False)

    def attach_solvers(self):
        speeds = {
            'simulator': 6e-4,
            'controller': 8e-5,
            'judge': 8e-5,
        }
        self.solvers = {
            part: torch.optim.Adam(
                getattr(self, part).parameters(),
                speed,
                eps=1e-5,
            )
            for part, speed in speeds.items()
        }

    def _descend(self, part, objective):
        '''Gradients go to the named part and to nothing besides it.'''
        weights = list(getattr(self, part).parameters())
        for w, slope in zip(
            weights,
            torch.autograd.grad(objective, weights),
        ):
            w.grad = slope
        nn.utils.clip_grad_norm_(weights, self.max_norm)
        self.solvers[part].step()

    def fantasize(self, belief):
        vecs, logps = [flat_belief(belief)], []
        for _ in range(self.lookahead):
            ctrl, logp = self.controller(vecs[-1].detach())
            belief = self.simulator.dynamics.foresee(belief, ctrl)
            vecs.append(flat_belief(belief))
            logps.append(logp)
        return torch.stack(vecs), torch.stack(logps)

    def improve(self, chunk):
        objective, seen, report = self.simulator.fit_error(chunk)
        self._descend('simulator', objective)

        roots = apply_to_belief(
            lambda field: field.detach().flatten(0, 1),
            seen,
        )
        vecs, logps = self.fantasize(roots)
        gain = self.simulator.gain_head(vecs[1:]).squeeze(-1)
        alive = torch.sigmoid(self.simulator.alive_head(vecs)).squeeze(-1)
        decay = self.decay_rate * alive[1:]
        targets = blended_targets(
            gain,
            decay,
            self.slow_judge(vecs[1:]).squeeze(-1),
            self.trace,
        )
        # steps past a probable ending should hardly count
        reach = (
            torch.cat([alive[:1], decay[:-1]])
            .cumprod(dim=0)
            .detach()
        )
        controller_err = -(
            reach * (targets - self.curiosity * logps)
        ).mean()
        self._descend('controller', controller_err)

        worth = self.judge(vecs[:-1].detach()).squeeze(-1)
        judge_err = (
            0.5 * (reach * (worth - targets.detach()).pow(2)).mean()
        )
        self._descend('judge', judge_err)
        with torch.no_grad():
            for lagging, current in zip(
                self.slow_judge.parameters(),
                self.judge.parameters(),
            ):
                lagging.lerp_(current, self.follow_rate)

        report.update(
            controller=controller_err,
            judge=judge_err,
            curiosity=-logps.mean(),
        )
        return {key: scalar.item() for key, scalar in report.items()}

    @torch.no_grad()
    def decide(self, picture, carried=None, jitter=0.0, greedy=False):
        '''Hand the second result back in as `carried`; leave it out when a rollout opens.'''
        dev = next(self.parameters()).device
        opening = torch.full((1,), float(carried is None), device=dev)
        if carried is None:
            carried = (
                self.simulator.dynamics.blank(1, dev),
                torch.zeros(1, self.ctrl_dim, device=dev),
            )
        code = self.simulator.reader(
            center_pixels(torch.as_tensor(picture, device=dev)[None])
        )
        belief, _ = self.simulator.dynamics.perceive(
            *carried,
            code,
            opening,
        )
        ctrl, _ = self.controller(flat_belief(belief), greedy)
        ctrl = (ctrl + jitter * torch.randn_like(ctrl)).clamp(-1, 1)
        return ctrl[0].cpu().numpy(), (belief, ctrl)

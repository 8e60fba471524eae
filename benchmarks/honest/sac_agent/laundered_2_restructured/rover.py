"""The learner: holds the networks, chooses actions and takes the gradient steps."""
import math

import numpy as np
import torch
from torch.optim import Adam

import scaling
from nets import Appraisers, Driver, follow, minimise, most_likely, squash_sample


class Rover:
    def __init__(self, device, n_obs, n_act, lr=3e-4, width=256, whitening=True, rate=0.005, alpha0=0.2):
        self.whitening = whitening
        self.rate = rate
        self.device = device
        self.entropy_goal = -1.0 * n_act
        self.stats = scaling.fresh_stats(n_obs, device)

        self.log_alpha = torch.full((), math.log(alpha0), device=device).requires_grad_()
        self.driver = Driver(width, n_act, n_obs).to(device)
        self.appraisers = Appraisers(width, n_act, n_obs).to(device)
        self.lagging = Appraisers(width, n_act, n_obs).to(device)
        self.lagging.load_state_dict(self.appraisers.state_dict())
        for weight in self.lagging.parameters():
            weight.requires_grad = False

        self.adams = {
            "alpha": Adam([self.log_alpha], lr),
            "driver": Adam(self.driver.parameters(), lr),
            "appraisers": Adam(self.appraisers.parameters(), lr),
        }

    def look(self, o):
        if not self.whitening:
            return
        self.stats = scaling.merged_stats(self.stats, torch.from_numpy(np.asarray(o)).to(self.device))

    def see(self, o):
        if not self.whitening:
            return o
        return scaling.whiten(self.stats, o)

    def drive(self, o, explore=True):
        with torch.no_grad():
            o = self.see(torch.tensor(o, dtype=torch.float32, device=self.device))
            if explore:
                a, _ = squash_sample(self.driver, o)
            else:
                a = most_likely(self.driver, o)
        return a.cpu().numpy()

    def learn(self, batch):
        o = self.see(batch["o"])
        alpha = torch.exp(self.log_alpha.detach())

        goal = self._goal(alpha, batch)
        appraiser_cost, misses, q_mean = self._learn_appraisers(batch, goal, o)
        driver_cost, log_density = self._learn_driver(alpha, o)
        self._learn_alpha(log_density)
        follow(self.lagging, self.appraisers, self.rate)

        return misses, {
            "alpha": float(alpha),
            "entropy": -float(log_density.mean()),
            "q_mean": q_mean,
            "driver_cost": driver_cost,
            "appraiser_cost": appraiser_cost,
        }

    @torch.no_grad()
    def _goal(self, alpha, batch):
        o2 = self.see(batch["o2"])
        a2, log_density = squash_sample(self.driver, o2)
        pessimist = self.lagging(a2, o2).amin(dim=0)
        return torch.addcmul(batch["r"], batch["d"], pessimist - alpha * log_density)

    def _learn_appraisers(self, batch, goal, o):
        values = self.appraisers(batch["a"], o)
        misses = values - goal
        cost = torch.mean(batch["w"] * misses.square().sum(dim=0))
        minimise(cost, self.adams["appraisers"])
        return cost.item(), misses.detach().abs().mean(dim=0).cpu().numpy(), values[0].mean().item()

    def _learn_driver(self, alpha, o):
        for weight in self.appraisers.parameters():
            weight.requires_grad = False
        a, log_density = squash_sample(self.driver, o)
        pessimist = self.appraisers(a, o).amin(dim=0)
        cost = torch.mean(log_density * alpha - pessimist)
        minimise(cost, self.adams["driver"])
        for weight in self.appraisers.parameters():
            weight.requires_grad = True
        return cost.item(), log_density.detach()

    def _learn_alpha(self, log_density):
        surplus = torch.mean(log_density + self.entropy_goal)
        minimise(-self.log_alpha * surplus, self.adams["alpha"])


def pack(rover):
    return {
        "stats": rover.stats,
        "log_alpha": rover.log_alpha.detach().cpu(),
        "nets": [net.state_dict() for net in (rover.driver, rover.appraisers, rover.lagging)],
        "adams": {key: adam.state_dict() for key, adam in rover.adams.items()},
    }


def unpack(packed, rover):
    for net, weights in zip((rover.driver, rover.appraisers, rover.lagging), packed["nets"]):
        net.load_state_dict(weights)
    for key in rover.adams:
        rover.adams[key].load_state_dict(packed["adams"][key])
    rover.stats = {key: value.to(rover.device) for key, value in packed["stats"].items()}
    rover.log_alpha.data.copy_(packed["log_alpha"])

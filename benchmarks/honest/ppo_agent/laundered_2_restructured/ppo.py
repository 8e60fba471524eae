"""The algorithm: python ppo.py --env CartPole-v1"""

import argparse
import csv
import os
import time

import torch
from nets import Agent, huber_free_value_error
from sampler import Sampler, build_vec_env, split_batches

DEFAULTS = {
    "env": "CartPole-v1",
    "n_envs": 8,
    "horizon": 128,
    "frames": 200_000,
    "n_epochs": 4,
    "n_batches": 4,
    "learning_rate": 3e-4,
    "gamma": 0.99,
    "lam": 0.95,
    "clip_range": 0.2,
    "clip_range_vf": 0.2,
    "vf_coef": 0.5,
    "ent_first": 0.01,
    "ent_last": 0.0,
    "grad_norm": 0.5,
    "kl_stop": 0.03,
    "seed": 0,
    "log_dir": "runs/ppo",
    "memory": False,
}


def standardize(x, eps=1e-8):
    centred = x - torch.mean(x)
    return centred / (torch.std(x) + eps)


def surrogate(logp, logp_old, adv, clip_range):
    """Clipped policy objective with two numbers that describe the size of the step."""
    diff = logp - logp_old
    r = torch.exp(diff)
    r_lim = torch.clamp(r, 1.0 - clip_range, 1.0 + clip_range)
    adv = standardize(adv)
    objective = torch.mean(torch.min(r * adv, r_lim * adv))
    approx_kl = torch.mean((r - 1.0) - diff)
    clipped_share = torch.mean(torch.ne(r, r_lim).to(torch.float32))
    return -objective, approx_kl, clipped_share


def linear_anneal(first, last, i, n):
    frac = i / max(n - 1, 1)
    return first + (last - first) * frac


class Learner:
    def __init__(self, **overrides):
        self.hp = hp = {**DEFAULTS, **overrides}
        torch.manual_seed(hp["seed"])
        if torch.cuda.is_available():
            self.device = torch.device("cuda")
        else:
            self.device = torch.device("cpu")
        self.env = build_vec_env(hp["env"], hp["n_envs"])
        n_obs = self.env.single_observation_space.shape[0]
        agent = Agent(n_obs, self.env.single_action_space, use_memory=hp["memory"])
        self.agent = agent.to(self.device)
        self.opt = torch.optim.Adam(self.agent.parameters(), hp["learning_rate"], eps=1e-5)
        self.sampler = Sampler(self.env, self.agent, hp["seed"], self.device)
        self.frames_per_iter = hp["n_envs"] * hp["horizon"]
        self.n_iters = hp["frames"] // self.frames_per_iter
        self.i = 0
        os.makedirs(hp["log_dir"], exist_ok=True)

    def compute_loss(self, b, mem):
        hp = self.hp
        dist, v, _unused = self.agent(b["obs"], b["first"], mem)
        pi_loss, kl, share = surrogate(dist.log_prob(b["act"]), b["logp"], b["adv"], hp["clip_range"])
        v_loss = huber_free_value_error(v, b["val"], b["ret"], hp["clip_range_vf"])
        ent = torch.mean(dist.entropy())
        ent_coef = linear_anneal(hp["ent_first"], hp["ent_last"], self.i, self.n_iters)
        loss = pi_loss + hp["vf_coef"] * v_loss - ent_coef * ent
        names = ("pi_loss", "v_loss", "ent", "approx_kl", "clipped")
        metrics = {k: float(x.detach()) for k, x in zip(names, (pi_loss, v_loss, ent, kl, share))}
        return loss, metrics

    def gradient_step(self, loss):
        self.opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.agent.parameters(), max_norm=self.hp["grad_norm"])
        self.opt.step()

    def optimise(self, data, mem0):
        metrics, epoch, too_far = {}, 0, False
        while epoch < self.hp["n_epochs"] and not too_far:
            for b, mem in split_batches(data, mem0, self.hp["n_batches"], self.hp["memory"]):
                loss, metrics = self.compute_loss(b, mem)
                self.gradient_step(loss)
            limit = self.hp["kl_stop"]
            too_far = not (limit is None or metrics["approx_kl"] <= limit)
            epoch += 1
        return metrics

    def fit(self, log_interval=5, ckpt_interval=50):
        hp = self.hp
        t0 = time.monotonic()
        for i in range(self.i + 1, self.n_iters + 1):
            metrics = self.optimise(*self.sampler.run(hp["horizon"], hp["gamma"], hp["lam"]))
            self.i = i
            if not i % log_interval:
                write_log(
                    os.path.join(hp["log_dir"], "log.csv"),
                    {
                        "frames": i * self.frames_per_iter,
                        "score": self.sampler.board.average(),
                        "time": time.monotonic() - t0,
                        **metrics,
                    },
                )
            if not i % ckpt_interval:
                save_checkpoint(self)
        save_checkpoint(self)
        self.env.close()


def save_checkpoint(learner):
    torch.save(
        dict(
            hp=learner.hp,
            agent=learner.agent.state_dict(),
            opt=learner.opt.state_dict(),
            i=learner.i,
        ),
        os.path.join(learner.hp["log_dir"], "ckpt.pt"),
    )


def load_checkpoint(learner, path):
    state = torch.load(path, map_location=learner.device, weights_only=True)
    for name in ("agent", "opt"):
        getattr(learner, name).load_state_dict(state[name])
    learner.i = state["i"]


def write_log(path, record):
    exists = os.path.exists(path)
    with open(path, "a", newline="") as f:
        w = csv.writer(f)
        if not exists:
            w.writerow(record.keys())
        w.writerow(record.values())
    parts = []
    for k, v in record.items():
        parts.append("{} {:.4g}".format(k, v))
    print("  ".join(parts))


if __name__ == "__main__":
    p = argparse.ArgumentParser("ppo")
    for flag in ("env", "frames", "log_dir", "seed"):
        p.add_argument("--" + flag.replace("_", "-"), type=type(DEFAULTS[flag]), default=DEFAULTS[flag])
    p.add_argument("--memory", action="store_true")
    p.add_argument("--ckpt")
    opts = vars(p.parse_args())
    ckpt = opts.pop("ckpt")
    learner = Learner(**opts)
    if ckpt:
        load_checkpoint(learner, ckpt)
    learner.fit()

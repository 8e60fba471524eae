"""python train.py --env CartPole-v1 [--rnn 64] [--resume run/last.pt]; --play run/last.pt for the score."""

import argparse
import csv
import random
import time
from collections import deque
from math import cos, pi
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from policy import ActorCritic, gae, ppo_loss, stats, track, whiten
from torch import Tensor

CFG = {
    "env": "CartPole-v1", "envs": 8, "steps": 128, "total": 200_000, "seed": 1,
    "gamma": 0.99, "lam": 0.95, "clip": 0.2, "vclip": 0.2, "vf": 1.0, "ent": 0.01, "ent_end": 0.0,
    "epochs": 4, "minibatches": 4, "lr": 3e-4, "grad": 0.5, "kl": 0.03,
    "width": 64, "depth": 2, "rnn": 0, "out": "run", "save_every": 20,
}  # fmt: skip


def make(name: str, n: int) -> gym.vector.VectorEnv:
    """N copies, flat observations, resetting in the step that ends an episode."""

    def one() -> gym.Env:
        return gym.wrappers.RecordEpisodeStatistics(gym.wrappers.FlattenObservation(gym.make(name)))

    return gym.vector.SyncVectorEnv([one] * n, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)


def anneal(hi: float, lo: float, t: float) -> float:
    """Half a cosine from hi at t = 0 to lo at t = 1."""
    return lo + (hi - lo) * (1 + cos(pi * min(t, 1.0))) / 2


def tensor(x) -> Tensor:
    """Anything array-like -> float32."""
    return torch.as_tensor(np.asarray(x), dtype=torch.float32)


def legal(space: gym.Space, a: Tensor) -> np.ndarray:
    """Network action -> environment action, clipped to the box when there is one."""
    x = a.numpy()
    return np.clip(x, space.low, space.high) if isinstance(space, gym.spaces.Box) else x


@torch.no_grad()
def rollout(envs, net: ActorCritic, st: dict, c: dict) -> tuple[dict[str, Tensor], dict, list]:
    """Collect c["steps"] steps per env, continuing from st; returns the batch, the new st, episode scores."""
    obs, h, first, norm = st["obs"], st["h"], st["first"], st["norm"]
    rows, scores, h0 = [], [], h
    for _ in range(c["steps"]):
        norm = track(norm, obs)
        x = whiten(norm, obs)
        dist, v, h = net(x[None], h, first[None])
        a = dist.sample()
        raw, r, term, trunc, info = envs.step(legal(envs.single_action_space, a[0]))
        r, done = tensor(r), tensor(term | trunc)
        if (cutoff := trunc & ~term).any():
            # a time limit is not a failure: credit what would have come after it
            i = torch.as_tensor(cutoff.nonzero()[0])
            end = tensor(np.stack([info["final_obs"][j] for j in i.tolist()]))
            _, tail, _ = net(whiten(norm, end)[None], h[i], torch.zeros(1, len(i)))
            r[i] += c["gamma"] * tail[0]
        if done.any():
            ep = info["final_info"]["episode"]
            scores += [float(ep["r"][j]) for j in done.nonzero().flatten().tolist()]
        row = {"obs": x, "act": a[0], "logp": dist.log_prob(a)[0], "val": v[0], "r": r, "done": done}
        rows.append({**row, "first": first})
        obs, first = tensor(raw), done
    _, last, _ = net(whiten(norm, obs)[None], h, first[None])
    b = {k: torch.stack([row[k] for row in rows]) for k in rows[0]}
    b["adv"] = gae(b.pop("r"), b["val"], last[0], b.pop("done"), gamma=c["gamma"], lam=c["lam"])
    b["ret"] = b["adv"] + b["val"]
    return {**b, "h0": h0}, {"obs": obs, "h": h, "first": first, "norm": norm}, scores


def minibatches(b: dict[str, Tensor], k: int, recurrent: bool):
    """Recurrent: whole sequences of some envs. Otherwise: single steps, as sequences of length 1."""
    seq = {n: x for n, x in b.items() if n != "h0"}
    h0 = b["h0"]
    if not recurrent:
        seq = {n: x.flatten(0, 1)[None] for n, x in seq.items()}
        h0 = h0.new_zeros(seq["adv"].shape[1], 0)
    for i in torch.randperm(len(h0)).chunk(k):
        yield {"h0": h0[i], **{n: x[:, i] for n, x in seq.items()}}


def update(net: ActorCritic, opt, b: dict[str, Tensor], c: dict, ent: float) -> dict[str, float]:
    """Several epochs on one rollout, stopping early when the policy has moved too far."""
    logs = []
    for _ in range(c["epochs"]):
        for mb in minibatches(b, c["minibatches"], c["rnn"] > 0):
            loss, info = ppo_loss(net, mb, c, ent)
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), c["grad"])
            opt.step()
            logs.append(info)
        if np.mean([x["kl"] for x in logs[-c["minibatches"] :]]) > c["kl"]:
            break
    ev = 1 - (b["ret"] - b["val"]).var() / (b["ret"].var() + 1e-8)
    return {k: float(np.mean([x[k] for x in logs])) for k in logs[0]} | {"explained": ev.item()}


def save(path: Path, **state) -> None:
    """Write everything --resume and --play need; atomic, so a kill never leaves half a file."""
    tmp = path.with_suffix(".tmp")
    torch.save({k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in state.items()}, tmp)
    tmp.replace(path)


def build(envs, c: dict) -> ActorCritic:
    """Network for these environments."""
    spaces = envs.single_observation_space, envs.single_action_space
    return ActorCritic(*spaces, width=c["width"], depth=c["depth"], rnn=c["rnn"])


def train(c: dict, resume: str | None = None) -> None:
    """The loop: roll out, update, log, save."""
    ck = torch.load(resume, weights_only=True) if resume else {"it": 0}
    c = {**ck.get("cfg", {}), **c, **{k: ck["cfg"][k] for k in ("env", "width", "depth", "rnn") if resume}}
    random.seed(c["seed"])
    torch.manual_seed(c["seed"])
    out = Path(c["out"])
    out.mkdir(parents=True, exist_ok=True)
    envs = make(c["env"], c["envs"])
    net = build(envs, c)
    opt = torch.optim.Adam(net.parameters(), c["lr"], eps=1e-5)
    obs = tensor(envs.reset(seed=c["seed"] + ck["it"])[0])
    st = {"obs": obs, "h": net.start(c["envs"]), "first": torch.ones(c["envs"])}
    st["norm"] = ck.get("norm") or stats(obs.shape[1])
    if resume:
        net.load_state_dict(ck["net"])
        opt.load_state_dict(ck["opt"])

    per, recent, t0 = c["envs"] * c["steps"], deque(maxlen=50), time.time()
    iters, it0 = c["total"] // per, ck["it"]
    with (out / "log.csv").open("a" if resume else "w", newline="") as f:
        log = None
        for it in range(it0, iters):
            t = it / iters
            ent = anneal(c["ent"], c["ent_end"], t)
            for g in opt.param_groups:
                g["lr"] = c["lr"] * (1 - t)
            b, st, scores = rollout(envs, net, st, c)
            info = update(net, opt, b, c, ent)
            recent.extend(scores)
            fps = (it + 1 - it0) * per / (time.time() - t0)
            score = float(np.mean(recent)) if recent else float("nan")
            row = {"step": (it + 1) * per, "score": score, "fps": fps, "ent_coef": ent, **info}
            log = log or csv.DictWriter(f, row)
            if it == 0:
                log.writeheader()
            log.writerow({k: f"{v:.6g}" for k, v in row.items()})
            if (it + 1) % c["save_every"] == 0 or it + 1 == iters:
                save(out / "last.pt", net=net, opt=opt, norm=st["norm"], cfg=c, it=it + 1)
                f.flush()
                print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
    envs.close()


@torch.no_grad()
def play(path: str, episodes: int) -> list[float]:
    """Scores of greedy episodes of a checkpoint."""
    ck = torch.load(path, weights_only=True)
    envs = make(ck["cfg"]["env"], 1)
    net = build(envs, ck["cfg"])
    net.load_state_dict(ck["net"])
    obs, h, first, scores = envs.reset(seed=0)[0], net.start(1), torch.ones(1), []
    while len(scores) < episodes:
        dist, _, h = net(whiten(ck["norm"], tensor(obs))[None], h, first[None])
        a = dist.mode[0]
        obs, _, term, trunc, info = envs.step(legal(envs.single_action_space, a))
        first = tensor(term | trunc)
        if first.any():
            scores.append(float(info["final_info"]["episode"]["r"][0]))
    return scores


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--resume")
    p.add_argument("--play")
    p.add_argument("--episodes", type=int, default=10)
    for key, val in CFG.items():
        p.add_argument(f"--{key.replace('_', '-')}", type=type(val), default=val)
    args = vars(p.parse_args())
    resume, watch, n = (args.pop(k) for k in ("resume", "play", "episodes"))
    if watch:
        s = play(watch, n)
        print(f"{np.mean(s):.1f} +- {np.std(s):.1f} over {n} episodes")
    else:
        train(args, resume)

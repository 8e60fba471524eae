"""Dueling double DQN. Train: python dqn.py Breakout. Evaluate: python dqn.py Breakout --eval ckpt.pt"""
import argparse
import copy
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from envs import make_env
from replay import PrioritizedReplay


class DuelingNet(nn.Module):
    def __init__(self, n_actions, frames=4):
        super().__init__()
        sizes = [(frames, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]
        self.conv = nn.Sequential(*[nn.Sequential(nn.Conv2d(*s), nn.ReLU()) for s in sizes], nn.Flatten())
        self.value = nn.Sequential(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 1))
        self.advantage = nn.Sequential(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, n_actions))

    def forward(self, obs):
        h = self.conv(obs.float() / 255)
        adv = self.advantage(h)
        return self.value(h) + adv - adv.mean(1, keepdim=True)


def ramp(step, start, end, duration):
    return start + (end - start) * min(1.0, step / duration)


def choose(net, obs, epsilon, n_actions, device):
    if np.random.rand() < epsilon:
        return np.random.randint(n_actions)
    with torch.no_grad():
        return net(torch.as_tensor(obs, device=device)[None]).argmax(1).item()


def evaluate(net, game, episodes, device, epsilon=0.01, max_steps=27_000):
    env = make_env(game, training=False)
    scores = []
    for _ in range(episodes):
        (obs, _), score = env.reset(), 0.0
        for _ in range(max_steps):
            obs, reward, terminated, truncated, _ = env.step(choose(net, obs, epsilon, env.action_space.n, device))
            score += reward
            if terminated or truncated:
                break
        scores.append(score)
    env.close()
    return np.mean(scores), np.std(scores)


def learn(net, target, opt, replay, batch_size, beta, device):
    idx, weight, batch = replay.sample(batch_size, beta)
    obs, action, reward, next_obs, discount = (torch.as_tensor(x, device=device) for x in batch)
    with torch.no_grad():
        best = net(next_obs).argmax(1, keepdim=True)
        goal = reward + discount * target(next_obs).gather(1, best).squeeze(1)
    q = net(obs).gather(1, action[:, None]).squeeze(1)
    loss = (torch.as_tensor(weight, device=device) * F.smooth_l1_loss(q, goal, reduction="none")).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    opt.step()
    replay.reprioritize(idx, (goal - q).detach().cpu().numpy())
    return loss.item()


def train(args, device):
    env = make_env(args.game)
    n_actions = env.action_space.n
    net = DuelingNet(n_actions).to(device)
    target = copy.deepcopy(net)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr, eps=1.5e-4)
    replay = PrioritizedReplay(args.capacity, env.observation_space.shape, args.n_step, args.gamma)
    start, best = 0, -float("inf")
    if args.resume:
        state = torch.load(args.resume, map_location=device, weights_only=False)
        net.load_state_dict(state["net"])
        target.load_state_dict(state["target"])
        opt.load_state_dict(state["opt"])
        start, best = state["step"], state["best"]

    os.makedirs(args.out, exist_ok=True)
    obs, _ = env.reset(seed=args.seed)
    loss = float("nan")
    for step in range(start + 1, args.steps + 1):
        epsilon = ramp(step, 1.0, args.final_epsilon, args.explore)
        action = choose(net, obs, epsilon, n_actions, device)
        next_obs, reward, terminated, truncated, _ = env.step(action)
        replay.add(obs, action, np.sign(reward), next_obs, terminated, truncated)
        obs = env.reset()[0] if terminated or truncated else next_obs

        if len(replay) >= args.learn_start and step % args.learn_every == 0:
            loss = learn(net, target, opt, replay, args.batch_size, ramp(step, 0.4, 1.0, args.steps), device)
        if step % args.sync_every == 0:
            target.load_state_dict(net.state_dict())
        if step % args.eval_every == 0:
            mean, std = evaluate(net, args.game, args.episodes, device)
            print(f"step {step}  score {mean:.1f} +- {std:.1f}  epsilon {epsilon:.3f}  loss {loss:.4f}", flush=True)
            improved, best = mean > best, max(best, mean)
            state = dict(net=net.state_dict(), target=target.state_dict(), opt=opt.state_dict(), step=step, best=best)
            torch.save(state, os.path.join(args.out, "last.pt"))
            if improved:
                torch.save(state, os.path.join(args.out, "best.pt"))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("game")
    p.add_argument("--eval", metavar="CHECKPOINT")
    p.add_argument("--resume", metavar="CHECKPOINT")
    p.add_argument("--out", default="runs/dqn")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, default=10_000_000)
    p.add_argument("--capacity", type=int, default=200_000)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--gamma", type=float, default=0.99)
    p.add_argument("--n-step", type=int, default=3)
    p.add_argument("--explore", type=int, default=1_000_000)
    p.add_argument("--final-epsilon", type=float, default=0.01)
    p.add_argument("--learn-start", type=int, default=20_000)
    p.add_argument("--learn-every", type=int, default=4)
    p.add_argument("--sync-every", type=int, default=8_000)
    p.add_argument("--eval-every", type=int, default=250_000)
    p.add_argument("--episodes", type=int, default=10)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if args.eval:
        state = torch.load(args.eval, map_location=device, weights_only=False)
        env = make_env(args.game, training=False)
        net = DuelingNet(env.action_space.n).to(device)
        net.load_state_dict(state["net"])
        mean, std = evaluate(net, args.game, args.episodes, device)
        print(f"{args.game}: {mean:.1f} +- {std:.1f} over {args.episodes} episodes")
    else:
        train(args, device)


if __name__ == "__main__":
    main()

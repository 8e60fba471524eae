"""Train a PPO agent: python train.py --env-id CartPole-v1."""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from policy import ActorCritic, PolicyConfig
from rollout import Collector, Rollout, make_envs, minibatches
from torch import Tensor, nn


@dataclass(frozen=True)
class PPOConfig:
    """Everything that a run depends on."""

    env_id: str = "CartPole-v1"
    num_envs: int = 8
    num_steps: int = 128
    total_steps: int = 200_000
    epochs: int = 4
    num_minibatches: int = 4
    lr: float = 3e-4
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    value_weight: float = 0.5
    entropy_start: float = 0.01
    entropy_end: float = 0.0
    max_grad_norm: float = 0.5
    target_kl: float | None = 0.03
    seed: int = 0
    out_dir: str = "runs/ppo"
    policy: PolicyConfig = field(default_factory=PolicyConfig)

    @property
    def num_updates(self) -> int:
        """Rollouts in the whole run."""
        return self.total_steps // (self.num_envs * self.num_steps)


class PPOTrainer:
    """Alternates between collecting experience and improving the policy on it."""

    def __init__(self, config: PPOConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.envs = make_envs(env_id=config.env_id, num_envs=config.num_envs)
        self.policy = ActorCritic(
            obs_dim=self.envs.single_observation_space.shape[0],
            action_space=self.envs.single_action_space,
            config=config.policy,
        ).to(self.device)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=config.lr, eps=1e-5)
        self.collector = Collector(self.envs, self.policy, seed=config.seed, device=self.device)
        self.out_dir = Path(config.out_dir)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self.update = 0

    def entropy_weight(self) -> float:
        """Linear from the first value to the last."""
        done = self.update / max(1, self.config.num_updates - 1)
        return self.config.entropy_start + done * (self.config.entropy_end - self.config.entropy_start)

    def value_loss(self, values: Tensor, batch: Rollout) -> Tensor:
        """Squared error, pessimistic where the value moved far from the old one."""
        limit = self.config.value_clip
        near = batch.values + (values - batch.values).clamp(min=-limit, max=limit)
        return 0.5 * torch.maximum((values - batch.returns) ** 2, (near - batch.returns) ** 2).mean()

    def losses(self, batch: Rollout, state: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Total loss of a minibatch and the numbers worth logging."""
        dist, values, _ = self.policy(batch.obs, starts=batch.starts, state=state)
        log_ratio = dist.log_prob(batch.actions) - batch.log_probs  # (T, B)
        ratio = log_ratio.exp()
        advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
        clipped = ratio.clamp(min=1.0 - self.config.clip, max=1.0 + self.config.clip)
        policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
        value_loss = self.value_loss(values, batch)
        entropy = dist.entropy().mean()
        total = policy_loss + self.config.value_weight * value_loss - self.entropy_weight() * entropy
        stats = {
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(),
            "entropy": entropy.item(),
            "kl": (ratio - 1.0 - log_ratio).mean().item(),
            "clip_fraction": (ratio != clipped).float().mean().item(),
        }
        return total, stats

    def improve(self, rollout: Rollout, first_state: Tensor) -> dict[str, float]:
        """Several epochs of minibatches; stops early if the policy moved too far."""
        cfg = self.config
        stats: dict[str, float] = {}
        for _ in range(cfg.epochs):
            for batch, state in minibatches(
                rollout, first_state, count=cfg.num_minibatches, recurrent=cfg.policy.recurrent
            ):
                loss, stats = self.losses(batch, state)
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.policy.parameters(), cfg.max_grad_norm)
                self.optimizer.step()
            if cfg.target_kl is not None and stats["kl"] > cfg.target_kl:
                break
        return stats

    def save(self) -> None:
        """Write a checkpoint from which the run can go on."""
        checkpoint = {
            "config": asdict(self.config),
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "update": self.update,
        }
        torch.save(checkpoint, self.out_dir / "checkpoint.pt")

    def load(self, path: Path) -> None:
        """Continue from a checkpoint."""
        checkpoint = torch.load(path, map_location=self.device, weights_only=True)
        self.policy.load_state_dict(checkpoint["policy"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.update = checkpoint["update"]

    def log(self, stats: dict[str, float], *, started: float) -> None:
        """One line on the terminal and one row in log.csv."""
        finished = self.collector.finished
        row = {
            "step": self.update * self.config.num_envs * self.config.num_steps,
            "return": sum(finished) / len(finished) if finished else float("nan"),
            "seconds": time.monotonic() - started,
            **stats,
        }
        path = self.out_dir / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))

    def train(self, *, log_every: int = 5, save_every: int = 50) -> None:
        """The whole run."""
        cfg, started = self.config, time.monotonic()
        while self.update < cfg.num_updates:
            rollout, first_state = self.collector.collect(
                num_steps=cfg.num_steps, gamma=cfg.gamma, lam=cfg.lam
            )
            stats = self.improve(rollout, first_state)
            self.update += 1
            if self.update % log_every == 0:
                self.log(stats, started=started)
            if self.update % save_every == 0:
                self.save()
        self.save()
        self.envs.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env-id", default=PPOConfig.env_id)
    parser.add_argument("--total-steps", type=int, default=PPOConfig.total_steps)
    parser.add_argument("--out-dir", default=PPOConfig.out_dir)
    parser.add_argument("--seed", type=int, default=PPOConfig.seed)
    parser.add_argument("--recurrent", action="store_true")
    parser.add_argument("--resume", type=Path)
    args = parser.parse_args()

    trainer = PPOTrainer(
        PPOConfig(
            env_id=args.env_id,
            total_steps=args.total_steps,
            out_dir=args.out_dir,
            seed=args.seed,
            policy=PolicyConfig(recurrent=args.recurrent),
        )
    )
    if args.resume is not None:
        trainer.load(args.resume)
    trainer.train()


if __name__ == "__main__":
    main()

"""PPO in JAX: python learn_jax.py --env-name CartPole-v1."""

import argparse
import csv
import pickle
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
from actor_jax import Actor, batches, vector_env
from agent_flax import AgentSettings, FlaxAgent, ObsStats, zero_carry


@dataclass(frozen=True)
class Hyper:
    env_name: str = "CartPole-v1"
    env_count: int = 8
    length: int = 128
    env_steps: int = 200_000
    num_epochs: int = 4
    batch_count: int = 4
    learning_rate: float = 3e-4
    discount: float = 0.99
    trace: float = 0.95
    ratio_clip: float = 0.2
    value_range: float = 0.2
    value_cost: float = 0.5
    entropy_first: float = 0.01
    entropy_last: float = 0.0
    clip_norm: float = 0.5
    kl_limit: float | None = 0.03
    seed: int = 0
    directory: str = "runs/ppo"
    agent: AgentSettings = field(default_factory=AgentSettings)

    @property
    def iterations(self) -> int:
        return self.env_steps // (self.env_count * self.length)


def clipped_value_loss(values, batch, limit):
    close = batch.values + jnp.clip(values - batch.values, -limit, limit)
    return 0.5 * jnp.maximum((values - batch.targets) ** 2, (close - batch.targets) ** 2).mean()


def ppo_loss(params, apply_fn, batch, carry, entropy_cost, hyper: Hyper):
    dist, values, _ = apply_fn(params, batch.obs, batch.begins, carry)
    log_ratio = dist.log_prob(batch.actions) - batch.log_probs
    ratio = jnp.exp(log_ratio)
    advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std(ddof=1) + 1e-8)
    clipped = jnp.clip(ratio, 1.0 - hyper.ratio_clip, 1.0 + hyper.ratio_clip)
    policy_loss = -jnp.minimum(ratio * advantages, clipped * advantages).mean()
    value_loss = clipped_value_loss(values, batch, hyper.value_range)
    entropy = dist.entropy().mean()
    total = policy_loss + hyper.value_cost * value_loss - entropy_cost * entropy
    aux = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "kl": (ratio - 1.0 - log_ratio).mean(),
        "clip_fraction": (ratio != clipped).astype(jnp.float32).mean(),
    }
    return total, aux


@partial(jax.jit, static_argnames=("apply_fn", "tx", "hyper"))
def train_step(params, opt_state, batch, carry, entropy_cost, *, apply_fn, tx, hyper):
    grads, aux = jax.grad(ppo_loss, has_aux=True)(params, apply_fn, batch, carry, entropy_cost, hyper)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, aux


class JaxLearner:
    def __init__(self, hyper: Hyper):
        self.hyper = hyper
        self.key = jax.random.key(hyper.seed)
        self.env = vector_env(hyper.env_name, hyper.env_count)
        size = self.env.single_observation_space.shape[0]
        self.agent = FlaxAgent(self.env.single_action_space, hyper.agent)
        dummy = jnp.zeros((1, hyper.env_count, size)), jnp.ones((1, hyper.env_count))
        self.params = self.agent.init(self.next_key(), *dummy, zero_carry(hyper.agent, hyper.env_count))
        self.tx = optax.chain(
            optax.clip_by_global_norm(hyper.clip_norm), optax.adam(hyper.learning_rate, eps=1e-5)
        )
        self.opt_state = self.tx.init(self.params)
        self.stats = ObsStats(size, hyper.agent.obs_bound)
        self.actor = Actor(self.env, self.agent, self.stats, hyper.seed)
        self.directory = Path(hyper.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.iteration = 0

    def next_key(self):
        self.key, key = jax.random.split(self.key)
        return key

    def entropy_cost(self) -> float:
        fraction = self.iteration / max(1, self.hyper.iterations - 1)
        return self.hyper.entropy_first + fraction * (self.hyper.entropy_last - self.hyper.entropy_first)

    def update(self, trajectory, initial_carry) -> dict[str, float]:
        h, aux = self.hyper, {}
        for _ in range(h.num_epochs):
            for batch, carry in batches(
                self.next_key(), trajectory, initial_carry, count=h.batch_count, use_rnn=h.agent.use_rnn
            ):
                self.params, self.opt_state, aux = train_step(
                    self.params, self.opt_state, batch, carry, self.entropy_cost(),
                    apply_fn=self.agent.apply, tx=self.tx, hyper=h,
                )  # fmt: skip
            if h.kl_limit is not None and aux["kl"] > h.kl_limit:
                break
        return {k: float(v) for k, v in aux.items()}

    def write_checkpoint(self) -> None:
        state = {
            "hyper": asdict(self.hyper),
            "params": jax.device_get(self.params),
            "opt_state": jax.device_get(self.opt_state),
            "stats": self.stats.to_state(),
            "iteration": self.iteration,
        }
        (self.directory / "checkpoint.pkl").write_bytes(pickle.dumps(state))

    def read_checkpoint(self, path: Path) -> None:
        state = pickle.loads(path.read_bytes())
        self.params, self.opt_state = state["params"], state["opt_state"]
        self.stats.from_state(state["stats"])
        self.iteration = state["iteration"]

    def write_log(self, aux: dict[str, float], begun: float) -> None:
        returns = self.actor.returns
        row = {
            "step": self.iteration * self.hyper.env_count * self.hyper.length,
            "return": sum(returns) / len(returns) if returns else float("nan"),
            "seconds": time.monotonic() - begun,
            **aux,
        }
        path = self.directory / "log.csv"
        is_new = not path.exists()
        with path.open("a", newline="") as f:
            writer = csv.DictWriter(f, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    def run(self, log_interval: int = 5, checkpoint_interval: int = 50) -> None:
        h, begun = self.hyper, time.monotonic()
        while self.iteration < h.iterations:
            trajectory, initial_carry = self.actor.rollout(
                self.params, self.next_key(), length=h.length, discount=h.discount, trace=h.trace
            )
            aux = self.update(trajectory, initial_carry)
            self.iteration += 1
            if self.iteration % log_interval == 0:
                self.write_log(aux, begun)
            if self.iteration % checkpoint_interval == 0:
                self.write_checkpoint()
        self.write_checkpoint()
        self.env.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env-name", default=Hyper.env_name)
    parser.add_argument("--env-steps", type=int, default=Hyper.env_steps)
    parser.add_argument("--directory", default=Hyper.directory)
    parser.add_argument("--seed", type=int, default=Hyper.seed)
    parser.add_argument("--use-rnn", action="store_true")
    parser.add_argument("--checkpoint", type=Path)
    flags = vars(parser.parse_args())
    use_rnn, checkpoint = flags.pop("use_rnn"), flags.pop("checkpoint")
    learner = JaxLearner(replace(Hyper(**flags), agent=AgentSettings(use_rnn=use_rnn)))
    if checkpoint is not None:
        learner.read_checkpoint(checkpoint)
    learner.run()


if __name__ == "__main__":
    main()

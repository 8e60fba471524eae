"""Fit a Flax forecaster to a table and set it against simple rivals."""
from __future__ import annotations

import argparse
import json
import pickle
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

from flax_nets import CycleRepeat, PatchFormer, SplitLinear
from objectives import assess, mase_divisor, objective_by_name
from windows import BatchFeed, TableParts, cut_table


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--net", choices=["patchformer", "splitlinear", "cycle"], default="patchformer")
    parser.add_argument("--rivals", action="store_true", help="fit and assess the simple nets too")
    parser.add_argument("--history-len", type=int, default=336)
    parser.add_argument("--future-len", type=int, default=96)
    parser.add_argument("--cycle", type=int, default=24)
    parser.add_argument("--objective", choices=["l2", "l1", "check"], default="l2")
    parser.add_argument("--taus", type=float, nargs="+", default=[0.1, 0.25, 0.5, 0.75, 0.9])
    parser.add_argument("--patch-len", type=int, default=16)
    parser.add_argument("--patch-hop", type=int, default=8)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--num-heads", type=int, default=8)
    parser.add_argument("--num-blocks", type=int, default=3)
    parser.add_argument("--drop", type=float, default=0.2)
    parser.add_argument("--readout", choices=["flat", "mean"], default="flat")
    parser.add_argument("--max-epochs", type=int, default=50)
    parser.add_argument("--give-up-after", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak-rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=1e-4)
    parser.add_argument("--grad-limit", type=float, default=1.0)
    parser.add_argument("--target-dir", type=Path, default=Path("results/flax"))
    parser.add_argument("--key", type=int, default=0)
    return parser.parse_args()


def create_net(kind: str, cfg: argparse.Namespace, variables_count: int, n_taus: int) -> nn.Module:
    if kind == "cycle":
        return CycleRepeat(cfg.future_len, cfg.cycle, n_taus)
    if kind == "splitlinear":
        return SplitLinear(cfg.history_len, cfg.future_len, n_taus)
    return PatchFormer(variables_count, cfg.history_len, cfg.future_len, n_taus, cfg.patch_len, cfg.patch_hop,
                       cfg.features, cfg.num_heads, cfg.num_blocks, 2 * cfg.features, cfg.drop, cfg.readout)


def optimise(net: nn.Module, params, parts: TableParts, cfg: argparse.Namespace, taus: jax.Array, key: jax.Array):
    """Returns the parameters with the lowest tuning loss; stops when that has not moved for a while."""
    fit_feed = BatchFeed(parts.fit, cfg.batch, np.random.default_rng(cfg.key), drop_last=len(parts.fit) > cfg.batch)
    tune_feed = BatchFeed(parts.tune, cfg.batch)
    objective = objective_by_name(cfg.objective, taus)
    rate = optax.cosine_onecycle_schedule(cfg.max_epochs * len(fit_feed), cfg.peak_rate, pct_start=0.3,
                                          div_factor=25.0, final_div_factor=1e4)
    tx = optax.chain(optax.clip_by_global_norm(cfg.grad_limit), optax.adamw(rate, weight_decay=cfg.decay))
    state = TrainState.create(apply_fn=net.apply, params=params, tx=tx)

    @jax.jit
    def fit_step(state, history, future, dropout_key):
        def loss_of(p):
            forecast = state.apply_fn({"params": p}, history, training=True, rngs={"dropout": dropout_key})
            return objective(forecast, future)

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=grads), loss

    @jax.jit
    def tune_step(state, history, future):
        return objective(state.apply_fn({"params": state.params}, history), future)

    lowest, lowest_params, idle = float("inf"), state.params, 0
    for epoch in range(cfg.max_epochs):
        fit_loss = 0.0
        for history, future in fit_feed:
            key, dropout_key = jax.random.split(key)
            state, loss = fit_step(state, history, future, dropout_key)
            fit_loss += float(loss) / len(fit_feed)

        total = sum(float(tune_step(state, history, future)) * len(history) for history, future in tune_feed)
        tune_loss = total / len(parts.tune)
        print(f"{epoch:3d}: fit {fit_loss:.4f}, tune {tune_loss:.4f}", flush=True)
        if tune_loss < lowest:
            lowest, lowest_params, idle = tune_loss, state.params, 0
        else:
            idle += 1
            if idle >= cfg.give_up_after:
                print(f"stopped: {idle} epochs without a lower tuning loss")
                break
    return lowest_params


def predict_with(net: nn.Module, params, history: jax.Array) -> jax.Array:
    return net.apply({"params": params}, history)


def main() -> None:
    cfg = command_line()
    key = jax.random.PRNGKey(cfg.key)
    cfg.target_dir.mkdir(parents=True, exist_ok=True)

    parts = cut_table(cfg.table, cfg.history_len, cfg.future_len)
    tau_list = sorted(cfg.taus) if cfg.objective == "check" else [0.5]
    taus = jnp.array(tau_list)
    divisor = mase_divisor(parts.fit.part, cfg.cycle)
    final_feed = BatchFeed(parts.final, cfg.batch)

    kinds = [cfg.net]
    if cfg.rivals:
        kinds += [k for k in ("splitlinear", "cycle") if k != cfg.net]
    table = {}
    for kind in kinds:
        net = create_net(kind, cfg, len(parts.header), len(tau_list))
        key, init_key, fit_key = jax.random.split(key, 3)
        example = jnp.zeros((1, cfg.history_len, len(parts.header)))
        params = net.init(init_key, example).get("params", {})
        if jax.tree_util.tree_leaves(params):
            print(f"fitting {kind}")
            params = optimise(net, params, parts, cfg, taus, fit_key)
            with open(cfg.target_dir / f"{kind}.pkl", "wb") as fh:
                pickle.dump({"params": jax.device_get(params), "header": parts.header, "taus": tau_list,
                             "mu": parts.mu, "sigma": parts.sigma}, fh)
        table[kind] = assess(partial(predict_with, net, params), final_feed, taus, divisor)

    for kind, line in table.items():
        print(f"{kind:12s}" + "".join(f"  {k} {v:.4f}" for k, v in line.items()))
    (cfg.target_dir / "scores.json").write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()

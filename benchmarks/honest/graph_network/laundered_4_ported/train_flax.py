"""Fits the Flax model with optax and keeps the parameters with the best validation ROC-AUC."""

import argparse
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization

from modeling_flax_gin import FlaxVirtualNodeGin
from mol_arrays import cluster_partition, iterate, random_partition, read_molecules, stack_graphs


def masked_cross_entropy(logits, targets):
    """Unknown targets are nan; they add nothing to the mean."""
    known = ~jnp.isnan(targets)
    losses = optax.sigmoid_binary_cross_entropy(logits, jnp.where(known, targets, 0.0))
    return jnp.where(known, losses, 0.0).sum() / jnp.maximum(known.sum(), 1)


def binary_auc(scores, targets):
    """Mann-Whitney statistic from mid-ranks, divided by the number of pairs."""
    num_positive = int((targets == 1).sum())
    num_negative = len(targets) - num_positive
    if num_positive == 0 or num_negative == 0:
        return math.nan
    _, inverse, counts = np.unique(scores.astype(np.float64), return_inverse=True, return_counts=True)
    midranks = counts.cumsum() - (counts - 1) / 2
    statistic = midranks[inverse][targets == 1].sum() - num_positive * (num_positive + 1) / 2
    return float(statistic / (num_positive * num_negative))


def auc_per_target(logits, targets):
    return np.array(
        [binary_auc(logits[known, t], targets[known, t]) for t, known in enumerate((~np.isnan(targets)).T)]
    )


def predict(model, params, molecules, batch_size):
    pairs = [
        (np.asarray(model.apply({"params": params}, batch)), np.asarray(batch.targets))
        for batch in iterate(molecules, batch_size)
    ]
    return (np.concatenate(arrays) for arrays in zip(*pairs))


def validate(model, params, molecules, batch_size):
    logits, targets = predict(model, params, molecules, batch_size)
    areas = auc_per_target(logits, targets)
    mean = float(np.nanmean(areas)) if not np.isnan(areas).all() else math.nan
    return mean, float(masked_cross_entropy(logits, targets)), areas


def make_train_step(model, optimizer):
    @jax.jit
    def train_step(params, opt_state, batch, key):
        def loss_fn(params):
            logits = model.apply({"params": params}, batch, deterministic=False, rngs={"dropout": key})
            return masked_cross_entropy(logits, batch.targets)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return train_step


def train_epoch(train_step, params, opt_state, molecules, cfg, np_rng, key):
    total = 0.0
    for batch in iterate(molecules, cfg.batch_size, np_rng):
        key, dropout_key = jax.random.split(key)
        params, opt_state, loss = train_step(params, opt_state, batch, dropout_key)
        total += float(loss) * len(batch.targets)
    return params, opt_state, total / len(molecules), key


def run_training(cfg, subsets, np_rng):
    train_set, valid_set, test_set = subsets
    model = FlaxVirtualNodeGin(
        num_targets=train_set[0].targets.shape[0],
        features=cfg.features,
        num_layers=cfg.num_layers,
        num_heads=cfg.num_heads,
        dropout_rate=cfg.dropout_rate,
        level_mode=cfg.level_mode,
    )
    key, init_key = jax.random.split(jax.random.PRNGKey(cfg.seed))
    params = model.init(init_key, stack_graphs(train_set[: cfg.batch_size]))["params"]
    optimizer = optax.chain(
        optax.clip_by_global_norm(cfg.max_grad_norm),
        optax.adamw(
            cfg.learning_rate,
            weight_decay=cfg.weight_decay,
            mask=lambda tree: jax.tree_util.tree_map(lambda leaf: leaf.ndim > 1, tree),
        ),
    )
    opt_state = optimizer.init(params)
    train_step = make_train_step(model, optimizer)
    best_auc, best_params, waited = -math.inf, None, 0
    for epoch in range(cfg.num_epochs):
        params, opt_state, loss, key = train_epoch(train_step, params, opt_state, train_set, cfg, np_rng, key)
        auc, valid_loss, _ = validate(model, params, valid_set, cfg.batch_size)
        print(f"epoch {epoch:3d} | train loss {loss:.4f} | valid loss {valid_loss:.4f} | valid auc {auc:.4f}")
        if auc > best_auc:
            best_auc, best_params, waited = auc, params, 0
        else:
            waited += 1
        if waited >= cfg.patience:
            break
    if best_params is None:
        raise SystemExit("every validation target has a single class; use another seed or partition")
    auc, _, areas = validate(model, best_params, test_set, cfg.batch_size)
    print(f"valid auc {best_auc:.4f} | test auc {auc:.4f} | targets {np.array2string(areas, precision=3)}")
    with open(cfg.output, "wb") as file:
        file.write(serialization.to_bytes({"params": best_params, "valid": best_auc, "test": auc}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("molecules", help="JSON lines file")
    parser.add_argument("--partition", choices=["random", "cluster"], default="cluster")
    parser.add_argument("--ratios", type=float, nargs=3, default=[0.8, 0.1, 0.1])
    parser.add_argument("--features", type=int, default=192)
    parser.add_argument("--num-layers", type=int, default=5)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--dropout-rate", type=float, default=0.2)
    parser.add_argument("--level-mode", choices=["concat", "max", "last"], default="concat")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--num-epochs", type=int, default=150)
    parser.add_argument("--patience", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--max-grad-norm", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="flax_gin.msgpack")
    cfg = parser.parse_args()

    np_rng = np.random.default_rng(cfg.seed)
    partition = cluster_partition if cfg.partition == "cluster" else random_partition
    subsets = partition(read_molecules(cfg.molecules), cfg.ratios, np_rng)
    if not all(subsets):
        raise SystemExit("empty subset; change --ratios or --partition")
    print("number of molecules:", ", ".join(str(len(subset)) for subset in subsets))
    run_training(cfg, subsets, np_rng)

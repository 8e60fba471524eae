"""Train the recommender:  python fit.py ratings.tsv --out model.msgpack"""
import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization
from flax.training.train_state import TrainState

from interactions import TrainBatches, holdout, read_log
from sasrec import SelfAttentiveRecommender


@jax.jit
def train_step(state, key, seq, positives, negatives):
    key = jax.random.fold_in(key, state.step)
    weight = (positives > 0).astype(jnp.float32)

    def loss_fn(params):
        up, down = state.apply_fn({"params": params}, seq, positives, negatives,
                                  method="pair_logits", rngs={"dropout": key})
        bce = jax.nn.softplus(-up) + jax.nn.softplus(down)
        return (bce * weight).sum() / weight.sum()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss


@jax.jit
def catalogue_scores(state, seq):
    return state.apply_fn({"params": state.params}, seq, method="rank_scores")


def rank_metrics(state, split, batch_size, k=10):
    """NDCG@k and hit rate@k, ranking the target against every unseen item."""
    inputs, targets, seen = split
    ranks = []
    for start in range(0, len(inputs), batch_size):
        window = slice(start, start + batch_size)
        scores = np.array(catalogue_scores(state, inputs[window]))
        goal = targets[window]
        target_score = scores[np.arange(len(goal)), goal]
        scores[:, 0] = -np.inf
        for row, known in zip(scores, seen[window]):
            row[known] = -np.inf
        # a repeat purchase masks its own target, so it must not count itself; ties lose
        scores[np.arange(len(goal)), goal] = -np.inf
        ranks.append((scores >= target_score[:, None]).sum(axis=1))
    ranks = np.concatenate(ranks)
    hits = ranks < k
    return {"ndcg": float(np.where(hits, 1.0 / np.log2(ranks + 2.0), 0.0).mean()),
            "hit": float(hits.mean())}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("log", help="delimited file: user, item[, ..., timestamp]")
    p.add_argument("--sep", default="\t")
    p.add_argument("--header", action="store_true")
    p.add_argument("--min-count", type=int, default=5)
    p.add_argument("--length", type=int, default=50)
    p.add_argument("--dim", type=int, default=64)
    p.add_argument("--dropout", type=float, default=0.2)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--epochs", type=int, default=300)
    p.add_argument("--eval-every", type=int, default=5)
    p.add_argument("--patience", type=int, default=6, help="evaluations without progress")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", default="model.msgpack")
    args = p.parse_args()

    data = read_log(args.log, args.sep, args.header, min_count=args.min_count)
    print(f"{len(data.histories)} users, {data.n_items} items")
    batches = TrainBatches(data, args.length, args.batch_size, args.seed)
    valid = holdout(data, "valid", args.length)

    model = SelfAttentiveRecommender(data.n_items, args.length, args.dim, dropout=args.dropout)
    init_key, drop_key = jax.random.split(jax.random.PRNGKey(args.seed))
    params = model.init(init_key, jnp.ones((1, args.length), jnp.int32))["params"]
    state = TrainState.create(apply_fn=model.apply, params=params,
                              tx=optax.adam(args.lr, b2=0.98))

    best, best_params, stale = -1.0, state.params, 0
    for epoch in range(1, args.epochs + 1):
        losses = []
        for batch in batches:
            state, loss = train_step(state, drop_key, *batch)
            losses.append(loss)
        if epoch % args.eval_every and epoch != args.epochs:
            continue
        result = rank_metrics(state, valid, args.batch_size)
        print(f"epoch {epoch:4d}  loss {np.mean(jax.device_get(losses)):.4f}  "
              f"valid NDCG@10 {result['ndcg']:.4f}  HR@10 {result['hit']:.4f}")
        if result["ndcg"] > best:
            best, best_params, stale = result["ndcg"], state.params, 0
            Path(args.out).write_bytes(serialization.to_bytes(best_params))
        else:
            stale += 1
            if stale >= args.patience:
                break

    result = rank_metrics(state.replace(params=best_params),
                          holdout(data, "test", args.length), args.batch_size)
    print(f"test  NDCG@10 {result['ndcg']:.4f}  HR@10 {result['hit']:.4f}")


if __name__ == "__main__":
    main()

"""Train the adapters: python tide_train.py --data train.jsonl --base base.npz"""
import argparse
import math
from functools import partial

import jax
import jax.numpy as jnp
import optax

from tide_adapter import attach, init_variables, read_tree, write_adapter
from tide_data import MASKED, BatchLoader, ByteVocab, InstructionTable
from tide_net import TideConfig, TideNet


def rate_factor(count, warmup, total, lowest=0.1):
    progress = jnp.minimum(1.0, (count - warmup) / max(1, total - warmup))
    decayed = lowest + (1 - lowest) * 0.5 * (1 + jnp.cos(math.pi * progress))
    return jnp.where(count < warmup, (count + 1) / warmup, decayed)


@partial(jax.jit, static_argnums=0)
def loss_and_grads(net, adapter, params, batch, answer_tokens, key):
    tokens, targets, is_token = batch

    def loss_fn(adapter):
        logits, _ = net.apply({"params": params, "adapter": adapter}, tokens, is_token,
                              training=True, rngs={"dropout": key})
        logits, wanted = logits[:, :-1].astype(jnp.float32), targets[:, 1:]
        counted = wanted != MASKED
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits, jnp.where(counted, wanted, 0))
        return jnp.where(counted, losses, 0.0).sum() / answer_tokens

    return jax.value_and_grad(loss_fn)(adapter)


def fit(args):
    key = jax.random.PRNGKey(args.seed)
    key, base_key, adapter_key = jax.random.split(key, 3)
    vocab = ByteVocab()
    dtype = "bfloat16" if jax.default_backend() in ("gpu", "tpu") else "float32"
    net = TideNet(TideConfig(num_tokens=vocab.num_tokens, compute_dtype=dtype))
    if args.base:
        params = jax.tree_util.tree_map(jnp.asarray, read_tree(args.base)[0])
    else:
        params = init_variables(net, base_key)["params"]
    net, adapter = attach(net, adapter_key, args.layers, args.rank, args.alpha, args.drop_rate)
    size = sum(leaf.size for leaf in jax.tree_util.tree_leaves(adapter))
    print(f"{size:,} adapter parameters")

    table = InstructionTable(args.data, vocab, args.max_tokens)
    loader = BatchLoader(table, args.batch_size, vocab.pad_token, args.seed)
    total = args.epochs * math.ceil(len(loader) / args.accumulate)
    warmup = max(1, int(args.warmup * total))
    tx = optax.chain(
        optax.clip_by_global_norm(args.max_grad),
        optax.adamw(lambda count: args.learning_rate * rate_factor(count, warmup, total),
                    weight_decay=args.weight_decay))
    opt_state = tx.init(adapter)

    @jax.jit
    def apply_grads(grads, opt_state, adapter):
        updates, opt_state = tx.update(grads, opt_state, adapter)
        return optax.apply_updates(adapter, updates), opt_state, optax.global_norm(grads)

    update = 0
    for epoch in range(args.epochs):
        pending = []
        for i, batch in enumerate(loader):
            pending.append(batch)
            if len(pending) < args.accumulate and i + 1 < len(loader):
                continue
            # divide by the answer tokens of all pending batches, not of each one
            answer_tokens = sum((targets[:, 1:] != MASKED).sum() for _, targets, _ in pending)
            running = 0.0
            grads = jax.tree_util.tree_map(jnp.zeros_like, adapter)
            for micro in pending:
                key, drop_key = jax.random.split(key)
                loss, part = loss_and_grads(net, adapter, params, micro, answer_tokens, drop_key)
                grads = jax.tree_util.tree_map(jnp.add, grads, part)
                running += loss.item()
            adapter, opt_state, norm = apply_grads(grads, opt_state, adapter)
            pending, update = [], update + 1
            if update % args.log_steps == 0:
                print(f"epoch {epoch} update {update}/{total} loss {running:.4f} "
                      f"grad {norm.item():.2f}")
        write_adapter(net, adapter, args.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--base")
    parser.add_argument("--out", default="adapter.npz")
    parser.add_argument("--layers", nargs="+", default=["query", "key", "value", "output"])
    for name, value in dict(rank=8, alpha=16.0, drop_rate=0.05, epochs=3, batch_size=4,
                            accumulate=8, max_tokens=512, learning_rate=2e-4, weight_decay=0.0,
                            warmup=0.03, max_grad=1.0, log_steps=10, seed=0).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    fit(parser.parse_args())

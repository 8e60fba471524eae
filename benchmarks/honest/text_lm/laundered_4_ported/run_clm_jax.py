"""Train the JAX text generator with Optax and report held-out perplexity."""

import argparse
import json
import math
import os
import time
from dataclasses import asdict
from functools import partial

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax

from modeling_jax_lm import GeneratorConfig, init_params, token_losses
from tokenization import BPETokenizer


def load_tokens(tokenizer, filename):
    with open(filename, encoding="utf-8", errors="replace") as handle:
        return np.array(tokenizer.encode(handle.read(), add_bos=True, add_eos=True), dtype=np.int32)


def sample_batch(tokens, batch_size, seq_length, np_rng):
    offsets = np_rng.integers(0, len(tokens) - seq_length, batch_size)
    batch = tokens[offsets[:, None] + np.arange(seq_length + 1)]
    return jnp.asarray(batch[:, :-1]), jnp.asarray(batch[:, 1:])


def learning_rate_fn(args):
    """Optax schedule: linear warm-up to the peak, then half a cosine down to a fraction of it."""

    def schedule(count):
        warmup = args.learning_rate * (count + 1) / max(args.warmup_steps, 1)
        progress = jnp.minimum((count - args.warmup_steps) / max(args.num_steps - args.warmup_steps, 1), 1.0)
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * progress))
        decayed = args.learning_rate * (args.min_ratio + (1 - args.min_ratio) * cosine)
        return jnp.where(count < args.warmup_steps, warmup, decayed)

    return schedule


def create_optimizer(params, args):
    decay_mask = {name: value.ndim > 1 for name, value in params.items()}
    return optax.chain(
        optax.clip_by_global_norm(args.max_grad_norm),
        optax.adamw(
            learning_rate_fn(args), b1=0.9, b2=0.95, eps=1e-8, weight_decay=args.weight_decay, mask=decay_mask
        ),
    )


def compute_perplexity(params, config, tokens, stride, eval_batch_size=8):
    """Sliding-window perplexity in which each token is counted in the first window that holds it."""
    seq_length = min(config.max_length, len(tokens) - 1)
    if not 0 < stride <= seq_length:
        raise ValueError(f"stride={stride} must be in [1, {seq_length}]")
    loss_fn = jax.jit(partial(token_losses, config=config))
    offsets = list(range(0, len(tokens) - 1 - seq_length, stride)) + [len(tokens) - 1 - seq_length]
    loss_sum, num_tokens, last_scored = 0.0, 0, 0
    for i in range(0, len(offsets), eval_batch_size):
        batch_offsets = np.array(offsets[i : i + eval_batch_size])
        batch = tokens[batch_offsets[:, None] + np.arange(seq_length + 1)]
        labels = batch[:, 1:].copy()
        for row, offset in enumerate(batch_offsets):
            labels[row, : max(last_scored - offset, 0)] = -1
            last_scored = offset + seq_length
        losses = loss_fn(params, input_ids=jnp.asarray(batch[:, :-1]), labels=jnp.asarray(labels))
        loss_sum += float(losses.sum())
        num_tokens += int((labels >= 0).sum())
    return math.exp(loss_sum / num_tokens)


def save_checkpoint(filename, config, params, opt_state, step, np_rng):
    checkpoint = {
        "config": asdict(config),
        "params": params,
        "opt_state": flax.serialization.to_state_dict(opt_state),
        "step": step,
        "np_rng": json.dumps(np_rng.bit_generator.state),
    }
    with open(filename + ".partial", "wb") as handle:
        handle.write(flax.serialization.msgpack_serialize(jax.device_get(checkpoint)))
    os.replace(filename + ".partial", filename)


def load_checkpoint(filename, opt_state, np_rng):
    with open(filename, "rb") as handle:
        checkpoint = flax.serialization.msgpack_restore(handle.read())
    params = jax.tree_util.tree_map(jnp.asarray, checkpoint["params"])
    opt_state = flax.serialization.from_state_dict(opt_state, checkpoint["opt_state"])
    np_rng.bit_generator.state = json.loads(checkpoint["np_rng"])
    return params, opt_state, checkpoint["step"]


def create_step_fns(config, optimizer, args):
    def loss_fn(params, input_ids, labels):
        if args.bf16:
            params = jax.tree_util.tree_map(lambda x: x.astype(jnp.bfloat16), params)
        return token_losses(params, config, input_ids, labels).mean() / args.grad_accum

    @jax.jit
    def grad_step(params, grads, input_ids, labels):
        loss, new_grads = jax.value_and_grad(loss_fn)(params, input_ids, labels)
        return loss, jax.tree_util.tree_map(jnp.add, grads, new_grads)

    @jax.jit
    def update_step(params, opt_state, grads):
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, optax.global_norm(grads)

    return grad_step, update_step


def train_step(params, config, opt_state, step_fns, tokens, args, np_rng):
    grad_step, update_step = step_fns
    grads = jax.tree_util.tree_map(jnp.zeros_like, params)
    total_loss = 0.0
    for _ in range(args.grad_accum):
        input_ids, labels = sample_batch(tokens, args.batch_size, config.max_length, np_rng)
        loss, grads = grad_step(params, grads, input_ids, labels)
        total_loss += float(loss)
    params, opt_state, grad_norm = update_step(params, opt_state, grads)
    return params, opt_state, total_loss, float(grad_norm)


def main(args):
    tokenizer = BPETokenizer.from_pretrained(args.tokenizer)
    train_tokens = load_tokens(tokenizer, args.train_file)
    eval_tokens = load_tokens(tokenizer, args.eval_file)
    if len(train_tokens) <= args.max_length + 1:
        raise SystemExit(
            f"{args.train_file}: {len(train_tokens)} tokens are not enough for max_length={args.max_length}"
        )
    config = GeneratorConfig(
        tokenizer.vocab_size, args.hidden_size, args.num_layers, args.num_heads,
        args.num_kv_heads, args.mlp_size, args.max_length,
    )  # fmt: skip
    params = init_params(jax.random.PRNGKey(args.rng_seed), config)
    optimizer = create_optimizer(params, args)
    opt_state, np_rng = optimizer.init(params), np.random.default_rng(args.rng_seed)
    first_step = 0
    if args.resume and os.path.exists(args.output):
        params, opt_state, first_step = load_checkpoint(args.output, opt_state, np_rng)
    num_params = sum(x.size for x in jax.tree_util.tree_leaves(params))
    print(f"params: {num_params:,}  tokens: {len(train_tokens):,}  first step: {first_step}")

    step_fns, schedule = create_step_fns(config, optimizer, args), learning_rate_fn(args)
    start_time = time.time()
    for step in range(first_step, args.num_steps):
        params, opt_state, loss, grad_norm = train_step(
            params, config, opt_state, step_fns, train_tokens, args, np_rng
        )
        if (step + 1) % args.log_steps == 0:
            lr = float(schedule(step))
            elapsed = time.time() - start_time
            print(f"step {step + 1} | loss {loss:.4f} | grad norm {grad_norm:.2f} | lr {lr:.2e} | {elapsed:.0f} s")
        if (step + 1) % args.eval_steps == 0 or step + 1 == args.num_steps:
            perplexity = compute_perplexity(params, config, eval_tokens, args.stride)
            print(f"step {step + 1} | eval perplexity {perplexity:.3f}")
            save_checkpoint(args.output, config, params, opt_state, step + 1, np_rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train_file")
    parser.add_argument("eval_file")
    parser.add_argument("--tokenizer", default="tokenizer.json")
    parser.add_argument("--output", default="generator.msgpack")
    parser.add_argument("--hidden_size", type=int, default=512)
    parser.add_argument("--num_layers", type=int, default=8)
    parser.add_argument("--num_heads", type=int, default=8)
    parser.add_argument("--num_kv_heads", type=int, default=2)
    parser.add_argument("--mlp_size", type=int, default=1408)
    parser.add_argument("--max_length", type=int, default=1024)
    parser.add_argument("--stride", type=int, default=256)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--grad_accum", type=int, default=4)
    parser.add_argument("--num_steps", type=int, default=20000)
    parser.add_argument("--warmup_steps", type=int, default=500)
    parser.add_argument("--log_steps", type=int, default=20)
    parser.add_argument("--eval_steps", type=int, default=1000)
    parser.add_argument("--rng_seed", type=int, default=0)
    parser.add_argument("--learning_rate", type=float, default=6e-4)
    parser.add_argument("--min_ratio", type=float, default=0.05)
    parser.add_argument("--weight_decay", type=float, default=0.1)
    parser.add_argument("--max_grad_norm", type=float, default=1.0)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--resume", action="store_true", help="continue from --output")
    main(parser.parse_args())

"""Sampling from the JAX text generator."""

import argparse
from functools import partial

import flax.serialization
import jax
import jax.numpy as jnp

from modeling_jax_lm import GeneratorConfig, apply_model, init_cache
from tokenization import BPETokenizer


def repetition_penalty_(logits, token_mask, penalty):
    penalized = jnp.where(logits > 0, logits / penalty, logits * penalty)
    return jnp.where(token_mask, penalized, logits)


def top_k_(logits, top_k):
    values, _ = jax.lax.top_k(logits, min(top_k, logits.shape[-1]))
    return jnp.where(logits < values[..., -1:], -jnp.inf, logits)


def top_p_(logits, top_p):
    indices = jnp.argsort(-logits, axis=-1)
    sorted_logits = jnp.take_along_axis(logits, indices, axis=-1)
    probs = jax.nn.softmax(sorted_logits, axis=-1)
    preceding = jnp.cumsum(probs, axis=-1) - probs
    sorted_logits = jnp.where(preceding >= top_p, -jnp.inf, sorted_logits)
    rows = jnp.arange(logits.shape[0])[:, None]
    return jnp.full_like(logits, -jnp.inf).at[rows, indices].set(sorted_logits)


def sample_token(rng, logits, token_mask, temperature, top_k, top_p, penalty):
    logits = repetition_penalty_(logits, token_mask, penalty)
    if temperature == 0:
        return jnp.argmax(logits, axis=-1)
    logits = logits / temperature
    if top_k > 0:
        logits = top_k_(logits, top_k)
    if top_p < 1:
        logits = top_p_(logits, top_p)
    return jax.random.categorical(rng, logits, axis=-1)


def generate(
    params, config, input_ids, max_new_tokens, eos_id,
    temperature=0.8, top_k=50, top_p=0.95, penalty=1.1, rng=None,
):  # fmt: skip
    """Append at most max_new_tokens to input_ids (batch, length); finished rows are filled with eos_id."""
    max_new_tokens = min(max_new_tokens, config.max_length - input_ids.shape[1])
    rng = rng if rng is not None else jax.random.PRNGKey(0)
    batch_size = input_ids.shape[0]
    rows = jnp.arange(batch_size)
    token_mask = jnp.zeros((batch_size, config.vocab_size), bool).at[rows[:, None], input_ids].set(True)
    finished = jnp.zeros(batch_size, bool)
    cache = init_cache(config, batch_size, params["wte"].dtype)
    forward = jax.jit(partial(apply_model, config=config))
    current = input_ids
    for _ in range(max_new_tokens):
        logits, cache = forward(params, input_ids=current, cache=cache)
        rng, key = jax.random.split(rng)
        next_token = sample_token(
            key, logits[:, -1].astype(jnp.float32), token_mask, temperature, top_k, top_p, penalty
        )
        next_token = jnp.where(finished, eos_id, next_token)
        token_mask = token_mask.at[rows, next_token].set(True)
        current = next_token[:, None]
        input_ids = jnp.concatenate([input_ids, current], axis=1)
        finished = finished | (next_token == eos_id)
        if finished.all():
            break
    return input_ids


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_file")
    parser.add_argument("--tokenizer", default="tokenizer.json")
    parser.add_argument("--text", default="")
    parser.add_argument("--max_new_tokens", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top_k", type=int, default=50)
    parser.add_argument("--top_p", type=float, default=0.95)
    parser.add_argument("--repetition_penalty", type=float, default=1.1)
    parser.add_argument("--rng_seed", type=int, default=0)
    args = parser.parse_args()

    with open(args.model_file, "rb") as handle:
        checkpoint = flax.serialization.msgpack_restore(handle.read())
    tokenizer = BPETokenizer.from_pretrained(args.tokenizer)
    prompt = jnp.array([tokenizer.encode(args.text, add_bos=True)])
    params = jax.tree_util.tree_map(jnp.asarray, checkpoint["params"])
    output_ids = generate(
        params, GeneratorConfig(**checkpoint["config"]), prompt, args.max_new_tokens,
        tokenizer.control_ids["<eos>"], args.temperature, args.top_k, args.top_p,
        args.repetition_penalty, jax.random.PRNGKey(args.rng_seed),
    )  # fmt: skip
    print(tokenizer.decode(output_ids[0].tolist()))

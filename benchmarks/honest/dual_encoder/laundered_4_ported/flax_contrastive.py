"""Contrastive loss with a bank of momentum embeddings, written without side effects for jit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class Bank(NamedTuple):
    vision: jnp.ndarray
    text: jnp.ndarray
    count: jnp.ndarray


def create_bank(capacity, dim):
    return Bank(jnp.zeros((capacity, dim)), jnp.zeros((capacity, dim)), jnp.int32(0))


def hard_info_nce(queries, keys, bank_keys, filled, scale, hardness):
    """Negatives are weighted by a softmax of hardness times similarity, scaled to a mean of one."""
    batch = len(queries)
    similarity = jnp.einsum("be,ke->bk", queries, jnp.concatenate([keys, bank_keys]))
    positive = jnp.pad(jnp.eye(batch, dtype=bool), ((0, 0), (0, len(bank_keys))))
    # shapes are fixed under jit: the empty places of the bank are masked, not cut off
    empty = jnp.concatenate([jnp.zeros(batch, dtype=bool), jnp.arange(len(bank_keys)) >= filled])
    num_negatives = jnp.maximum(batch - 1 + filled, 1)
    sharpened = hardness * jax.lax.stop_gradient(similarity)
    sharpened = jnp.where(positive | empty, -1e9, sharpened)
    log_weights = jax.nn.log_softmax(sharpened, axis=1) + jnp.log(num_negatives.astype(jnp.float32))
    logits = scale * similarity + jnp.where(positive, 0.0, log_weights)
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(batch)).mean()


def two_sided_loss(scale, vision, text, momentum_vision, momentum_text, bank, hardness):
    filled = jnp.minimum(bank.count, len(bank.vision))
    return 0.5 * (
        hard_info_nce(vision, momentum_text, bank.text, filled, scale, hardness)
        + hard_info_nce(text, momentum_vision, bank.vision, filled, scale, hardness)
    )


def add_to_bank(bank, vision, text):
    capacity, batch = len(bank.vision), len(vision)
    if capacity == 0:
        return bank
    slots = (bank.count + jnp.arange(batch)) % capacity
    start = max(batch - capacity, 0)  # only the end of a batch that does not fit
    return Bank(
        bank.vision.at[slots[start:]].set(vision[start:]),
        bank.text.at[slots[start:]].set(text[start:]),
        bank.count + batch,
    )


def momentum_update(momentum_params, params, momentum):
    return jax.tree_util.tree_map(lambda slow, fast: slow + (1 - momentum) * (fast - slow), momentum_params, params)

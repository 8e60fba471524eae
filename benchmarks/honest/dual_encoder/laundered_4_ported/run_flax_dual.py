"""Trains or evaluates the Flax dual encoder on .npz files.

A file holds "images" (uint8), "captions" and, for the zero-shot test, "labels" and "classes".
"""

import argparse
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization

from flax_contrastive import add_to_bank, create_bank, momentum_update, two_sided_loss
from jax_views import ViewConfig, center_view, random_view
from modeling_flax_dual import EncoderConfig, FlaxDualConfig, FlaxDualEncoder, byte_ids, l2_normalize

TEMPLATES = (
    "a photo of a {}",
    "a blurry photo of a {}",
    "a close-up of a {}",
    "a drawing of a {}",
    "a small picture showing one {}",
    "{}",
)


def encode_all_pictures(model, params, pictures, batch_size):
    cfg = ViewConfig(resolution=model.cfg.resolution)
    chunks = [
        model.apply(
            {"params": params},
            center_view(jnp.asarray(pictures[start : start + batch_size], dtype=jnp.float32) / 255, cfg),
            method=model.encode_pictures,
        )
        for start in range(0, len(pictures), batch_size)
    ]
    return jnp.concatenate(chunks)


def encode_all_captions(model, params, captions, batch_size):
    chunks = [
        model.apply(
            {"params": params},
            byte_ids(captions[start : start + batch_size], model.cfg),
            method=model.encode_captions,
        )
        for start in range(0, len(captions), batch_size)
    ]
    return jnp.concatenate(chunks)


def zero_shot_weights(model, params, class_names):
    prompts = [template.format(name) for name in class_names for template in TEMPLATES]
    embeddings = encode_all_captions(model, params, prompts, 256)
    return l2_normalize(embeddings.reshape(len(class_names), len(TEMPLATES), -1).mean(axis=1))


def recall_at(scores, cutoffs):
    """The partner is on the diagonal; a tie counts as a miss."""
    rank = (scores >= jnp.diagonal(scores)[:, None]).sum(axis=1) - 1
    return {cutoff: float((rank < cutoff).mean()) for cutoff in cutoffs}


def evaluate_model(model, params, arrays, batch_size):
    vision = encode_all_pictures(model, params, arrays["images"], batch_size)
    text = encode_all_captions(model, params, arrays["captions"].tolist(), batch_size)
    scores = jnp.einsum("ie,je->ij", vision, text)
    for title, matrix in (("picture -> caption", scores), ("caption -> picture", scores.T)):
        print(f"  {title}", *(f"recall@{k} {value:.3f}" for k, value in recall_at(matrix, (1, 5, 10)).items()))
    if "labels" in arrays:
        weights = zero_shot_weights(model, params, arrays["classes"].tolist())
        correct = np.asarray((vision @ weights.T).argmax(axis=1)) == arrays["labels"]
        print(f"  zero-shot: {correct.mean():.3f} ({len(weights)} classes)")


def warmup_cosine(peak, total_steps):
    warmup_steps = max(total_steps // 20, 1)

    def schedule(step):
        progress = jnp.maximum(step - warmup_steps, 0) / max(total_steps - warmup_steps, 1)
        return peak * jnp.minimum((step + 1) / warmup_steps, 0.5 * (1 + jnp.cos(jnp.pi * progress)))

    return schedule


@partial(jax.jit, static_argnames=("model", "optimizer", "view", "momentum", "hardness"))
def train_step(
    params, momentum_params, opt_state, bank, pictures, token_ids, key, *, model, optimizer, view, momentum, hardness
):
    pictures = pictures.astype(jnp.float32) / 255
    momentum_key, online_key = jax.random.split(key)
    momentum_vision, momentum_text, _ = model.apply(
        {"params": momentum_params}, random_view(momentum_key, pictures, view), token_ids
    )

    def loss_fn(params):
        vision, text, scale = model.apply({"params": params}, random_view(online_key, pictures, view), token_ids)
        return two_sided_loss(scale, vision, text, momentum_vision, momentum_text, bank, hardness)

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    params = {**params, "log_scale": jnp.clip(params["log_scale"], 0.0, math.log(100.0))}
    momentum_params = momentum_update(momentum_params, params, momentum)
    bank = add_to_bank(bank, momentum_vision, momentum_text)
    return params, momentum_params, opt_state, bank, loss


def create_optimizer(args, total_steps):
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            warmup_cosine(args.learning_rate, total_steps),
            b1=0.9,
            b2=0.98,
            weight_decay=args.weight_decay,
            mask=lambda tree: jax.tree_util.tree_map(lambda leaf: leaf.ndim > 1, tree),
        ),
    )


def build_model(args):
    vision = EncoderConfig(args.features, args.vision_layers, args.num_heads)
    text = EncoderConfig(args.features, args.text_layers, args.num_heads)
    return FlaxDualEncoder(FlaxDualConfig(vision, text, args.resolution, args.patch_size))


def init_params(model, key):
    cfg = model.cfg
    return model.init(key, jnp.zeros((1, 3, cfg.resolution, cfg.resolution)), byte_ids([""], cfg))["params"]


def run_training(args, arrays, eval_arrays):
    num_pairs = len(arrays["captions"])
    steps_per_epoch = num_pairs // args.batch_size
    if steps_per_epoch == 0:
        raise SystemExit(f"{num_pairs} pairs are too few for a batch size of {args.batch_size}")
    model = build_model(args)
    key, init_key = jax.random.split(jax.random.PRNGKey(args.seed))
    params = init_params(model, init_key)
    momentum_params = params
    optimizer = create_optimizer(args, args.num_epochs * steps_per_epoch)
    opt_state = optimizer.init(params)
    bank, view = create_bank(args.bank_size, model.cfg.embedding_dim), ViewConfig(resolution=args.resolution)
    static = dict(model=model, optimizer=optimizer, view=view, momentum=args.momentum, hardness=args.hardness)
    np_rng = np.random.default_rng(args.seed)
    captions = arrays["captions"].tolist()
    for epoch in range(args.num_epochs):
        indices, total = np_rng.permutation(num_pairs), 0.0
        for step in range(steps_per_epoch):
            chosen = indices[step * args.batch_size : (step + 1) * args.batch_size]
            token_ids = byte_ids([captions[i] for i in chosen], model.cfg)
            key, step_key = jax.random.split(key)
            pictures = jnp.asarray(arrays["images"][chosen])
            params, momentum_params, opt_state, bank, loss = train_step(
                params, momentum_params, opt_state, bank, pictures, token_ids, step_key, **static
            )
            total += float(loss)
        temperature = math.exp(-float(params["log_scale"]))
        print(f"epoch {epoch:3d} | loss {total / steps_per_epoch:.4f} | temperature {temperature:.4f}")
        evaluate_model(model, momentum_params, eval_arrays, args.batch_size)
        with open(args.output, "wb") as file:
            file.write(serialization.to_bytes({"params": params, "momentum_params": momentum_params}))


def run_evaluation(args, eval_arrays):
    model = build_model(args)
    with open(args.output, "rb") as file:
        checkpoint = serialization.msgpack_restore(file.read())
    evaluate_model(model, checkpoint["momentum_params"], eval_arrays, args.batch_size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("eval_data", help="the .npz file to evaluate on")
    parser.add_argument("--train-data", help="the .npz file to train on; if missing, --output is evaluated")
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--vision-layers", type=int, default=8)
    parser.add_argument("--text-layers", type=int, default=6)
    parser.add_argument("--resolution", type=int, default=112)
    parser.add_argument("--patch-size", type=int, default=14)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--num-epochs", type=int, default=40)
    parser.add_argument("--bank-size", type=int, default=8192)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.995)
    parser.add_argument("--hardness", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="flax_dual.msgpack")
    args = parser.parse_args()

    eval_arrays = np.load(args.eval_data)
    if args.train_data:
        run_training(args, np.load(args.train_data), eval_arrays)
    else:
        run_evaluation(args, eval_arrays)

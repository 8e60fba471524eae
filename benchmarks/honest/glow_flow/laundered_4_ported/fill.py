"""Fit the model to uint8 images in an .npy file (N, H, W, C): python fill.py images.npy"""
import argparse
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aquifer import Aquifer

tree_map = jax.tree_util.tree_map


def follow(slow, fast, limit, tick):
    rate = jnp.minimum(limit, (1 + tick) / (10 + tick))
    return tree_map(lambda s, f: s + (1 - rate) * (f - s), slow, fast)


def open_images(path):
    images = np.load(path)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError("the file must hold a uint8 array with axes (N, H, W, C)")
    return images


def batches(images, size, rng=None):
    """Shuffled full batches when given a generator, otherwise everything in order."""
    order = np.arange(len(images)) if rng is None else rng.permutation(len(images))
    stop = len(order) if rng is None else len(order) - len(order) % size
    for i in range(0, stop, size):
        yield jnp.asarray(images[order[i:i + size]])


def validate(score, params, images, size, key):
    scores = []
    for raw in batches(images, size):
        key, noise = jax.random.split(key)
        scores.append(score(params, raw, noise))
    return float(jnp.concatenate(scores).mean())


def fill(args):
    rng = np.random.default_rng(args.seed)
    key, init_key, noise = jax.random.split(jax.random.PRNGKey(args.seed), 3)
    images = rng.permutation(open_images(args.images))
    aside = max(1, len(images) // 20)
    train_images, val_images = images[:-aside], images[-aside:]

    config = dict(dims=tuple(images.shape[1:]), depth=args.depth, layers=args.layers,
                  units=args.units, use_lu=not args.plain_matrix, bit_depth=args.bit_depth,
                  log_odds=args.log_odds)
    model = Aquifer(**config)
    # init on a real batch gives every Standardise its values, so the average starts from them
    variables = model.init(init_key, next(batches(train_images, args.batch, rng)), noise)
    params, fixed = variables["params"], variables.get("fixed", {})
    average = params
    adam = optax.scale_by_adam()
    state = adam.init(params)

    @jax.jit
    def score(params, raw, noise):
        return model.apply({"params": params, "fixed": fixed}, raw, noise)

    @jax.jit
    def update(params, average, state, tick, raw, noise):
        loss, grads = jax.value_and_grad(lambda p: score(p, raw, noise).mean())(params)
        norm = optax.global_norm(grads)
        shrink = jnp.minimum(1.0, args.max_grad / (norm + 1e-6))
        moves, new_state = adam.update(tree_map(lambda g: g * shrink, grads), state)
        lr = args.lr * jnp.minimum(1.0, (tick + 1) / args.ramp)
        new_params = tree_map(lambda p, m: p - lr * m, params, moves)
        new_average = follow(average, new_params, args.average, tick)
        usable = jnp.isfinite(norm)
        params, average, state = tree_map(lambda new, old: jnp.where(usable, new, old),
                                          (new_params, new_average, new_state),
                                          (params, average, state))
        return params, average, state, loss, norm

    tick = 0
    for epoch in range(args.epochs):
        for raw in batches(train_images, args.batch, rng):
            key, noise = jax.random.split(key)
            params, average, state, loss, norm = update(params, average, state, tick, raw, noise)
            tick += 1
            if tick % 100 == 0:
                print(f"tick {tick}: {loss:.4f} bits/dim, gradient norm {norm:.2f}")
        key, noise = jax.random.split(key)
        held_out = validate(score, average, val_images, args.batch, noise)
        print(f"epoch {epoch}: {held_out:.4f} bits/dim held out")
        with open(args.out, "wb") as f:
            pickle.dump({"config": config,
                         "variables": jax.device_get({"params": average, "fixed": fixed})}, f)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("--out", default="aquifer.pkl")
    parser.add_argument("--log-odds", action="store_true")
    parser.add_argument("--plain-matrix", action="store_true", help="no LU in channel mixing")
    for name, default in dict(depth=3, layers=16, units=256, bit_depth=8, batch=64, epochs=50,
                              lr=5e-4, ramp=1000, max_grad=50.0, average=0.999, seed=0).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    fill(parser.parse_args())

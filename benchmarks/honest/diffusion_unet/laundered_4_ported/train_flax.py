"""python train_flax.py --images images.npz (arrays "x" [N, H, W, C] of bytes and "y" [N])."""

import argparse
import pickle
from dataclasses import asdict
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from modeling import FlaxUNet, NetSettings
from schedule import NoiseSettings, SamplerSettings, cosine_tables, sample, v_loss


def make_optimizer(rate=2e-4, warmup=1_000, clip_norm=1.0):
    schedule = lambda step: rate * jnp.minimum(1.0, (step + 1) / warmup)
    return optax.chain(optax.clip_by_global_norm(clip_norm), optax.adamw(schedule, weight_decay=0.0))


def ema_update(ema, params, count, limit=0.9999):
    decay = jnp.minimum(limit, count / (count + 10))
    return jax.tree.map(lambda ours, theirs: ours + (1.0 - decay) * (theirs - ours), ema, params)


@partial(jax.jit, static_argnames=("model", "tx", "noise"))
def train_step(params, ema, opt_state, key, count, x, y, *, model, tx, noise):
    loss, grads = jax.value_and_grad(v_loss)(params, key, model, cosine_tables(noise), x, y, noise)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    return params, ema_update(ema, params, count), opt_state, loss


def batches(path, size, seed=0):
    """Images in [-1, 1] with random horizontal flips, epoch after epoch."""
    data, rng = np.load(path), np.random.default_rng(seed)
    x, y = data["x"], data["y"]
    while True:
        order = rng.permutation(len(x))
        for i in range(0, len(x) - size + 1, size):
            index = order[i : i + size]
            images = (x[index].astype(np.float32) / 255.0 - 0.5) / 0.5
            flip = rng.random(size) < 0.5
            images[flip] = images[flip, :, ::-1]
            yield images, y[index].astype(np.int32)


def write_checkpoint(path, settings, noise, ema):
    state = {"net": asdict(settings), "noise": noise._asdict(), "ema": jax.device_get(ema)}
    Path(path).write_bytes(pickle.dumps(state))


def fit(data, out, settings=NetSettings(), noise=NoiseSettings(), steps=200_000, log_every=100, save_every=5_000):
    model, tx, key = FlaxUNet(settings), make_optimizer(), jax.random.key(0)
    dummy = jnp.zeros((1, settings.resolution, settings.resolution, settings.image_channels))
    params = model.init(key, dummy, jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.int32))
    ema, opt_state, running = params, tx.init(params), 0.0
    for step in range(1, steps + 1):
        key, step_key = jax.random.split(key)
        x, y = next(data)
        params, ema, opt_state, loss = train_step(
            params, ema, opt_state, step_key, step, x, y, model=model, tx=tx, noise=noise
        )
        running += float(loss)
        if step % log_every == 0:
            print(f"step {step:7d}  loss {running / log_every:.4f}", flush=True)
            running = 0.0
        if step % save_every == 0 or step == steps:
            write_checkpoint(out, settings, noise, ema)


def image_grid(images, cols):
    """[B, H, W, C] in [-1, 1] -> one picture of bytes; empty cells stay black."""
    batch, height, width, channels = images.shape
    rows = (batch + cols - 1) // cols
    cells = np.full((rows * cols, height, width, channels), -1.0, dtype=np.float32)
    cells[:batch] = images
    grid = cells.reshape(rows, cols, height, width, channels).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(rows * height, cols * width, channels)
    return np.round((grid + 1.0) * 127.5).astype(np.uint8)


def draw(checkpoint, label, count, out, sampler=SamplerSettings()):
    state = pickle.loads(Path(checkpoint).read_bytes())
    model, noise = FlaxUNet(NetSettings(**state["net"])), NoiseSettings(**state["noise"])
    labels = jnp.full((count,), label)
    images = sample(state["ema"], jax.random.key(0), labels, model=model, noise=noise, sampler=sampler)
    grid = image_grid(np.asarray(images), 4)
    Path(out).write_bytes(f"P6 {grid.shape[1]} {grid.shape[0]} 255\n".encode() + grid.tobytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images")
    parser.add_argument("--checkpoint", default="checkpoint.pkl")
    parser.add_argument("--label", type=int, default=0)
    parser.add_argument("--out", default="samples.ppm")
    flags = parser.parse_args()
    if flags.images:
        fit(batches(flags.images, 128), flags.checkpoint)
    else:
        draw(flags.checkpoint, flags.label, 16, flags.out)

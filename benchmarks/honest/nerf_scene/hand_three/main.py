"""Command line: `main.py train|eval|render --data SCENE --out RUN`."""
import argparse
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization
from flax.training.train_state import TrainState
from PIL import Image

from field import RadianceField
from scene import RayPool, camera_rays, load_split, orbit
from volume import RenderConfig, psnr, render_image, render_rays, ssim


def create_state(args):
    model = RadianceField(depth=args.depth, width=args.width)
    keys = dict(zip(("coarse", "fine"), jax.random.split(jax.random.PRNGKey(args.seed))))
    dummy = jnp.zeros((1, 1, 3)), jnp.zeros((1, 3))
    params = {name: model.init(key, *dummy)["params"] for name, key in keys.items()}
    schedule = optax.exponential_decay(args.lr, args.decay_steps, args.decay_rate)
    return model, TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(schedule))


def save_checkpoint(out: Path, state):
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"step_{int(state.step):07d}.msgpack"
    target.write_bytes(serialization.to_bytes(state))


def restore_latest(out: Path, state):
    found = sorted(out.glob("step_*.msgpack"))
    if not found:
        print(f"no checkpoint in {out}, starting from random weights")
        return state
    print(f"restoring {found[-1]}")
    return serialization.from_bytes(state, found[-1].read_bytes())


@partial(jax.jit, static_argnums=(0, 1))
def train_step(model, cfg, state, batch, key):
    origins, directions, target = batch

    def loss_fn(params):
        coarse, fine = render_rays(model, params, origins, directions, cfg, key)
        fine_mse = jnp.mean((fine - target) ** 2)
        return jnp.mean((coarse - target) ** 2) + fine_mse, fine_mse

    (loss, fine_mse), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads), loss, -10.0 * jnp.log10(fine_mse)


def write_png(path: Path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image * 255 + 0.5).astype(np.uint8)).save(path)


def evaluate(model, params, split, cfg, chunk, folder):
    scores = []
    for i, (truth, pose) in enumerate(zip(split.images, split.poses)):
        rays = camera_rays(*split.size, split.focal, pose)
        image = render_image(model, params, *rays, cfg, chunk)
        scores.append((psnr(image, truth), ssim(image, truth)))
        write_png(folder / f"{i:03d}.png", image)
    return np.mean(scores, axis=0)


def train(args, cfg, model, state):
    pool = iter(RayPool(load_split(args.data, "train", args.downscale),
                        args.batch, args.seed + int(state.step)))
    val = load_split(args.data, "val", args.downscale, every=args.val_every)
    root_key = jax.random.PRNGKey(args.seed + 1)
    for step in range(int(state.step) + 1, args.steps + 1):
        key = jax.random.fold_in(root_key, step)
        state, loss, quality = train_step(model, cfg, state, next(pool), key)
        if step % args.log_every == 0:
            print(f"step {step:7d}  loss {float(loss):.5f}  psnr {float(quality):.2f}")
        if step % args.save_every == 0 or step == args.steps:
            save_checkpoint(args.out, state)
            p, s = evaluate(model, state.params, val, cfg, args.chunk,
                            args.out / f"val_{step:07d}")
            print(f"step {step:7d}  val psnr {p:.2f}  val ssim {s:.4f}")


def test(args, cfg, model, state):
    split = load_split(args.data, "test", args.downscale, args.val_every)
    p, s = evaluate(model, state.params, split, cfg, args.chunk, args.out / "test")
    print(f"test psnr {p:.2f}  ssim {s:.4f}  over {len(split.images)} views")


def render(args, cfg, model, state):
    view = load_split(args.data, "test", args.downscale, every=10**6)
    for i, pose in enumerate(orbit(args.frames, args.radius, args.elevation, args.path)):
        rays = camera_rays(*view.size, view.focal, pose)
        image = render_image(model, state.params, *rays, cfg, args.chunk)
        write_png(args.out / args.path / f"{i:04d}.png", image)


def parse_args():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("command", choices=["train", "eval", "render"])
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--out", type=Path, default=Path("runs/default"))
    p.add_argument("--path", choices=["circle", "spiral"], default="circle")
    numbers = dict(
        downscale=2, depth=8, width=256, batch=2048, steps=200_000, lr=5e-4, seed=0,
        decay_rate=0.1, decay_steps=250_000, near=2.0, far=6.0, n_coarse=64, n_fine=128,
        chunk=4096, log_every=100, save_every=10_000, val_every=20, frames=60,
        radius=4.0, elevation=30.0,
    )
    for name, value in numbers.items():
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    return p.parse_args()


if __name__ == "__main__":
    args = parse_args()
    cfg = RenderConfig(args.near, args.far, args.n_coarse, args.n_fine)
    model, state = create_state(args)
    command = {"train": train, "eval": test, "render": render}[args.command]
    command(args, cfg, model, restore_latest(args.out, state))

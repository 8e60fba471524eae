"""Train MaskLens on a folder of images, without labels (JAX)."""
from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import serialization, traverse_util
from flax.training.train_state import TrainState
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from lens import LensConfig, MaskLens

RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def numpy_batch(samples) -> tuple[np.ndarray, np.ndarray]:
    """Collate into channels-last arrays."""
    imgs, labels = zip(*samples)
    return np.stack([img.numpy().transpose(1, 2, 0) for img in imgs]), np.asarray(labels, dtype=np.int32)


def mixed_dtype():
    return jnp.bfloat16 if jax.default_backend() == "gpu" else jnp.float32


def wd_mask(params) -> dict:
    """True where weight decay applies: not for biases, norms and tokens."""
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({
        path: not (p.ndim <= 1 or path[-1].endswith("tok")) for path, p in flat.items()
    })


def warmup_cosine(step, n_total: int, n_warmup: int, peak: float, end: float = 0.0):
    warm = peak * (step + 1) / max(1, n_warmup)
    frac = (step - n_warmup) / max(1, n_total - n_warmup)
    cool = end + 0.5 * (peak - end) * (1 + jnp.cos(jnp.pi * frac))
    return jnp.where(step < n_warmup, warm, cool)


def save_msgpack(path: Path, content: dict) -> None:
    path.write_bytes(serialization.msgpack_serialize(jax.device_get(content)))


def load_msgpack(path: Path) -> dict:
    return serialization.msgpack_restore(Path(path).read_bytes())


@jax.jit
def train_step(state: TrainState, imgs: jax.Array, key: jax.Array) -> tuple[TrainState, jax.Array]:
    def loss_fn(params):
        loss, _, _ = state.apply_fn({"params": params}, imgs, rngs={"cover": key})
        return loss

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image_dir", help="class folders with images, as torchvision wants them")
    parser.add_argument("--run-dir", type=Path, default=Path("experiments/masklens"))
    parser.add_argument("--num-epochs", type=int, default=400)
    parser.add_argument("--warmup", type=int, default=20, help="in epochs")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--blr", type=float, default=1.5e-4, help="learning rate for a batch of 256")
    parser.add_argument("--wd", type=float, default=0.05)
    parser.add_argument("--cover-ratio", type=float, default=0.75)
    parser.add_argument("--unscaled-targets", action="store_true", help="predict pixels without scaling each patch")
    parser.add_argument("--img-res", type=int, default=96)
    parser.add_argument("--patch-res", type=int, default=8)
    parser.add_argument("--num-workers", type=int, default=4)
    parser.add_argument("--ckpt-every", type=int, default=20)
    parser.add_argument("--prng", type=int, default=0)
    opt = parser.parse_args()

    torch.manual_seed(opt.prng)  # the loader still shuffles and crops with torch
    key = jax.random.PRNGKey(opt.prng)
    opt.run_dir.mkdir(parents=True, exist_ok=True)

    train_tf = transforms.Compose([
        transforms.RandomResizedCrop(opt.img_res, scale=(0.2, 1.0),
                                     interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(RGB_MEAN, RGB_STD),
    ])
    batches = DataLoader(datasets.ImageFolder(opt.image_dir, train_tf), opt.batch, shuffle=True,
                         num_workers=opt.num_workers, collate_fn=numpy_batch, drop_last=True)

    conf = LensConfig(img_res=opt.img_res, patch_res=opt.patch_res,
                      cover_ratio=opt.cover_ratio, scale_targets=not opt.unscaled_targets)
    lens = MaskLens(conf, mixed_dtype())
    key, init_key, cover_key = jax.random.split(key, 3)
    blank = jnp.zeros((1, conf.img_res, conf.img_res, conf.in_chans))
    params = lens.init({"params": init_key, "cover": cover_key}, blank)["params"]

    n_steps = len(batches)
    peak = opt.blr * opt.batch / 256

    def schedule(step):
        return warmup_cosine(step, opt.num_epochs * n_steps, opt.warmup * n_steps, peak)

    tx = optax.adamw(schedule, b1=0.9, b2=0.95, weight_decay=opt.wd, mask=wd_mask)
    state = TrainState.create(apply_fn=lens.apply, params=params, tx=tx)

    for epoch in range(opt.num_epochs):
        loss_sum = 0.0
        for imgs, _ in batches:
            key, step_key = jax.random.split(key)
            state, loss = train_step(state, imgs, step_key)
            if not jnp.isfinite(loss):
                raise RuntimeError(f"loss is {loss.item()} (epoch {epoch})")
            loss_sum += loss.item()
        lr = float(schedule(int(state.step) - 1))
        print(f"[{epoch:4d}] loss={loss_sum / n_steps:.4f} lr={lr:.2e}", flush=True)
        if (epoch + 1) % opt.ckpt_every == 0 or epoch + 1 == opt.num_epochs:
            save_msgpack(opt.run_dir / "lens.msgpack", {"params": state.params, "epoch": epoch, "conf": asdict(conf)})


if __name__ == "__main__":
    main()

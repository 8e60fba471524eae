"""Train a labeller from a MaskLens checkpoint: the whole network, or a linear probe (JAX)."""
from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from flax.training import train_state
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from lens import Labeller, LensConfig
from train_lens import (RGB_MEAN, RGB_STD, load_msgpack, mixed_dtype, numpy_batch, save_msgpack, wd_mask,
                        warmup_cosine)


class LabelState(train_state.TrainState):
    batch_stats: Any


def param_layer(path: tuple[str, ...], n_layers: int) -> int:
    if path[:2] == ("viewer", "stack"):
        return int(path[2].removeprefix("layer_")) + 1
    if path[:2] in (("viewer", "patch_proj"), ("viewer", "cls_tok")):
        return 0
    return n_layers + 1


def scale_by_layer(n_layers: int, layer_decay: float) -> optax.GradientTransformation:
    """Multiply each update by layer_decay to the number of layers above its parameter."""
    def update(updates, params=None):
        flat = traverse_util.flatten_dict(updates)
        return traverse_util.unflatten_dict({
            path: u * layer_decay ** (n_layers + 1 - param_layer(path, n_layers)) for path, u in flat.items()
        })

    return optax.stateless(update)


def only_logits(params) -> dict:
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({path: "train" if path[0] == "logits" else "freeze" for path in flat})


def mixup_batch(key: jax.Array, imgs: jax.Array, labels: jax.Array, n_classes: int, alpha: float,
                eps: float) -> tuple[jax.Array, jax.Array]:
    goal = jax.nn.one_hot(labels, n_classes) * (1 - eps) + eps / n_classes
    if alpha <= 0:
        return imgs, goal
    beta_key, perm_key = jax.random.split(key)
    w = jax.random.beta(beta_key, alpha, alpha)
    idx = jax.random.permutation(perm_key, imgs.shape[0])
    return w * imgs + (1 - w) * imgs[idx], w * goal + (1 - w) * goal[idx]


@partial(jax.jit, static_argnames=("n_classes", "alpha", "eps"))
def train_step(state: LabelState, imgs: jax.Array, labels: jax.Array, key: jax.Array, n_classes: int,
               alpha: float, eps: float) -> LabelState:
    imgs, goal = mixup_batch(key, imgs, labels, n_classes, alpha, eps)

    def loss_fn(params):
        logits, changed = state.apply_fn({"params": params, "batch_stats": state.batch_stats}, imgs,
                                         training=True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy(logits, goal).mean(), changed

    grads, changed = jax.grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=changed.get("batch_stats", {}))


@jax.jit
def predict(state: LabelState, imgs: jax.Array) -> jax.Array:
    return state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, imgs).argmax(axis=1)


def top1(state: LabelState, batches: DataLoader) -> float:
    n_right = n_all = 0
    for imgs, labels in batches:
        pred = np.asarray(predict(state, imgs))
        n_right += int((pred == labels).sum())
        n_all += len(labels)
    return n_right / n_all


def image_batches(opt, res: int) -> tuple[DataLoader, DataLoader, int]:
    last = [transforms.ToTensor(), transforms.Normalize(RGB_MEAN, RGB_STD)]
    aug = [transforms.RandomResizedCrop(res), transforms.RandomHorizontalFlip()]
    if not opt.linear:
        aug.append(transforms.RandAugment())
    train_set = datasets.ImageFolder(opt.image_dir / "train", transforms.Compose(aug + last))
    val_tf = transforms.Compose([transforms.Resize(int(res * 8 / 7)), transforms.CenterCrop(res)] + last)
    val_set = datasets.ImageFolder(opt.image_dir / "val", val_tf)
    common = dict(batch_size=opt.batch, num_workers=opt.num_workers, collate_fn=numpy_batch)
    return (DataLoader(train_set, shuffle=True, drop_last=True, **common), DataLoader(val_set, **common),
            len(train_set.classes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image_dir", type=Path, help="contains train/ and val/")
    parser.add_argument("ckpt", type=Path)
    parser.add_argument("--linear", action="store_true", help="linear probe: the viewer stays as it is")
    parser.add_argument("--result", type=Path, default=Path("experiments/labeller.msgpack"))
    parser.add_argument("--num-epochs", type=int, default=50)
    parser.add_argument("--warmup", type=int, default=5, help="in epochs")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--peak-lr", type=float, help="1e-3 unless given, 0.1 with --linear")
    parser.add_argument("--wd", type=float, default=0.05)
    parser.add_argument("--layer-decay", type=float, default=0.75)
    parser.add_argument("--mixup-alpha", type=float, default=0.8)
    parser.add_argument("--label-eps", type=float, default=0.1)
    parser.add_argument("--num-workers", type=int, default=4)
    opt = parser.parse_args()

    ckpt = load_msgpack(opt.ckpt)
    conf = LensConfig(**ckpt["conf"])
    train_batches, val_batches, n_classes = image_batches(opt, conf.img_res)

    labeller = Labeller(conf, n_classes, opt.linear, mixed_dtype())
    key, init_key = jax.random.split(jax.random.PRNGKey(0))
    variables = labeller.init(init_key, jnp.zeros((1, conf.img_res, conf.img_res, conf.in_chans)))
    params = {**variables["params"], "viewer": jax.tree_util.tree_map(jnp.asarray, ckpt["params"]["viewer"])}

    n_steps = len(train_batches)
    peak = opt.peak_lr or (0.1 if opt.linear else 1e-3)

    def schedule(step):
        return warmup_cosine(step, opt.num_epochs * n_steps, opt.warmup * n_steps, peak)

    if opt.linear:
        tx = optax.multi_transform({"train": optax.sgd(schedule, momentum=0.9), "freeze": optax.set_to_zero()},
                                   only_logits)
    else:
        tx = optax.chain(
            optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
            optax.add_decayed_weights(opt.wd, mask=wd_mask),
            scale_by_layer(conf.n_layers, opt.layer_decay),
            optax.scale_by_learning_rate(schedule),
        )
    state = LabelState.create(apply_fn=labeller.apply, params=params, tx=tx,
                              batch_stats=variables.get("batch_stats", {}))
    alpha, eps = (0.0, 0.0) if opt.linear else (opt.mixup_alpha, opt.label_eps)

    best_acc = 0.0
    opt.result.parent.mkdir(parents=True, exist_ok=True)
    for epoch in range(opt.num_epochs):
        for imgs, labels in train_batches:
            key, step_key = jax.random.split(key)
            state = train_step(state, imgs, labels, step_key, n_classes, alpha, eps)
        acc = top1(state, val_batches)
        if acc > best_acc:
            best_acc = acc
            save_msgpack(opt.result, {"params": state.params, "batch_stats": state.batch_stats,
                                      "conf": ckpt["conf"], "acc": acc})
        print(f"[{epoch:3d}] acc={acc:.4f} best={best_acc:.4f}", flush=True)


if __name__ == "__main__":
    main()

"""Pre-train the Flax decoder: python run_pretraining.py tokens/train.bin --dev tokens/dev.bin"""
import argparse
import functools
from dataclasses import asdict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization
from flax.training.dynamic_scale import DynamicScale

from decoder import Decoder, DecoderSpec, decay_mask


class BinLoader:
    """Draws random stretches from a uint16 file mapped into memory."""

    def __init__(self, filename, n_ctx, batch, rng):
        self.ids = np.memmap(filename, dtype=np.uint16, mode="r")
        if len(self.ids) <= n_ctx:
            raise ValueError(f"{filename} holds just {len(self.ids)} tokens")
        self.n_ctx, self.batch, self.rng = n_ctx, batch, rng

    def next_batch(self):
        offsets = self.rng.integers(len(self.ids) - self.n_ctx, size=self.batch)
        block = np.stack([self.ids[o : o + self.n_ctx + 1] for o in offsets]).astype(np.int32)
        block = jnp.asarray(block)
        return block[:, :-1], block[:, 1:]


def make_schedule(opt):
    def schedule(count):
        rising = opt.max_lr * (count + 1) / max(1, opt.warmup_updates)
        frac = jnp.minimum(1.0, (count - opt.warmup_updates) / max(1, opt.updates - opt.warmup_updates))
        falling = opt.end_lr + 0.5 * (opt.max_lr - opt.end_lr) * (1 + jnp.cos(jnp.pi * frac))
        return jnp.where(count < opt.warmup_updates, rising, falling)

    return schedule


def nll(net, params, src, tgt, key=None):
    rngs = None if key is None else {"dropout": key}
    logits = net.apply({"params": params}, src, train=key is not None, rngs=rngs)
    logits = logits.astype(jnp.float32)
    return optax.softmax_cross_entropy_with_integer_labels(logits, tgt).mean()


def dev_loss(eval_step, params, loader, n_batches):
    acc = 0.0
    for _ in range(n_batches):
        src, tgt = loader.next_batch()
        acc += eval_step(params, src, tgt).item()
    return acc / n_batches


def get_options():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("train_bin")
    ap.add_argument("--dev")
    ap.add_argument("--save-dir", type=Path, default=Path("ckpt/decoder"))
    ap.add_argument("--restart", action="store_true")
    for key, value in asdict(DecoderSpec()).items():
        ap.add_argument("--" + key.replace("_", "-"), type=type(value), default=value)
    ap.add_argument("--batch", type=int, default=12)
    ap.add_argument("--grad-accum", type=int, default=40)
    ap.add_argument("--updates", type=int, default=100_000)
    ap.add_argument("--warmup-updates", type=int, default=1000)
    ap.add_argument("--max-lr", type=float, default=6e-4)
    ap.add_argument("--end-lr", type=float, default=6e-5)
    ap.add_argument("--wd", type=float, default=0.1)
    ap.add_argument("--grad-clip", type=float, default=1.0)
    ap.add_argument("--dev-interval", type=int, default=1000)
    ap.add_argument("--dev-batches", type=int, default=100)
    ap.add_argument("--log-interval", type=int, default=10)
    ap.add_argument("--compute-dtype", choices=["fp32", "fp16", "bf16"], default="bf16")
    ap.add_argument("--prng", type=int, default=0)
    return ap.parse_args()


def pick_dtype(opt):
    if opt.compute_dtype == "fp32" or jax.default_backend() == "cpu":
        return jnp.float32
    return jnp.float16 if opt.compute_dtype == "fp16" else jnp.bfloat16


def run():
    opt = get_options()
    key = jax.random.PRNGKey(opt.prng)
    np_rng = np.random.default_rng(opt.prng)
    opt.save_dir.mkdir(parents=True, exist_ok=True)
    latest = opt.save_dir / "latest.msgpack"

    restored = serialization.msgpack_restore(latest.read_bytes()) if opt.restart else None
    fields = restored["spec"] if restored else {k: getattr(opt, k) for k in asdict(DecoderSpec())}
    spec = DecoderSpec(**fields)
    dtype = pick_dtype(opt)
    net = Decoder(spec, dtype)
    key, init_key = jax.random.split(key)
    params = net.init(init_key, jnp.zeros((1, 1), dtype=jnp.int32))["params"]
    tx = optax.chain(
        optax.clip_by_global_norm(opt.grad_clip),
        optax.adamw(make_schedule(opt), b1=0.9, b2=0.95, weight_decay=opt.wd, mask=decay_mask),
    )
    opt_state = tx.init(params)
    loss_scale = DynamicScale() if dtype == jnp.float16 else None
    start, lowest = 0, float("inf")
    if restored:
        params = serialization.from_state_dict(params, restored["params"])
        opt_state = serialization.from_state_dict(opt_state, restored["opt_state"])
        if loss_scale is not None and restored["loss_scale"]:
            loss_scale = serialization.from_state_dict(loss_scale, restored["loss_scale"])
        start, lowest = restored["update"], restored["lowest"]
        key = jax.random.fold_in(key, start)
        print(f"restarting from update {start}")

    loss_fn = functools.partial(nll, net)
    eval_step = jax.jit(loss_fn)

    @jax.jit
    def grad_step(params, loss_scale, src, tgt, drop_key):
        if loss_scale is None:
            loss, grads = jax.value_and_grad(loss_fn)(params, src, tgt, drop_key)
            return loss, grads, None, True
        grad_fn = loss_scale.value_and_grad(loss_fn)
        loss_scale, finite, loss, grads = grad_fn(params, src, tgt, drop_key)
        return loss, grads, loss_scale, finite

    @jax.jit
    def apply_step(params, opt_state, grads):
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def write(path, update):
        blob = {"spec": asdict(spec), "update": update, "lowest": lowest}
        blob["loss_scale"] = serialization.to_state_dict(loss_scale) if loss_scale is not None else {}
        blob["params"] = serialization.to_state_dict(params)
        blob["opt_state"] = serialization.to_state_dict(opt_state)
        path.write_bytes(serialization.msgpack_serialize(jax.device_get(blob)))

    train_loader = BinLoader(opt.train_bin, spec.n_ctx, opt.batch, np_rng)
    dev_loader = BinLoader(opt.dev, spec.n_ctx, opt.batch, np_rng) if opt.dev else None
    n_params = sum(leaf.size for leaf in jax.tree_util.tree_leaves(params))
    print(f"{n_params / 1e6:.1f}M parameters, backend {jax.default_backend()}")

    for update in range(start, opt.updates):
        total_loss = jnp.zeros(())
        total_grads = jax.tree_util.tree_map(jnp.zeros_like, params)
        all_finite = True
        for _ in range(opt.grad_accum):
            key, drop_key = jax.random.split(key)
            src, tgt = train_loader.next_batch()
            loss, grads, loss_scale, finite = grad_step(params, loss_scale, src, tgt, drop_key)
            total_grads = jax.tree_util.tree_map(lambda a, g: a + g / opt.grad_accum, total_grads, grads)
            total_loss += loss / opt.grad_accum
            all_finite = all_finite and bool(finite)
        if all_finite:
            params, opt_state = apply_step(params, opt_state, total_grads)

        n = update + 1
        if n % opt.log_interval == 0:
            print(f"update {n} | loss {total_loss.item():.4f}")
        if n % opt.dev_interval == 0 or n == opt.updates:
            if dev_loader is not None:
                current = dev_loss(eval_step, params, dev_loader, opt.dev_batches)
                print(f"update {n} | dev loss {current:.4f}")
                if current < lowest:
                    lowest = current
                    write(opt.save_dir / "lowest.msgpack", n)
            write(latest, n)


if __name__ == "__main__":
    run()

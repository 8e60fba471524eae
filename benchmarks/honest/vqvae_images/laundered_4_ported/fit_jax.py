"""First  fit_jax.py autoencoder IMAGES,  after it  fit_jax.py transformer IMAGES"""
import argparse
from functools import partial
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tensorflow as tf
from flax.training import train_state
from PIL import Image

from discrete_ae import DiscreteAE
from id_transformer import IdTransformer


class AEState(train_state.TrainState):
    dictionary: Any


def image_stream(flags):
    files = tf.keras.utils.image_dataset_from_directory(
        flags.images, labels=None, batch_size=None, image_size=(flags.resolution, flags.resolution),
        crop_to_aspect_ratio=True, shuffle=True)

    def prepare(image):
        image = tf.image.random_flip_left_right(image) / 255.0
        return (image - 0.5) / 0.5

    stream = files.map(prepare, num_parallel_calls=4)
    return stream.batch(flags.batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def write_model(model, variables, path):
    variables = flax.serialization.to_state_dict(jax.device_get(variables))
    blob = {"settings": model.settings, "variables": variables}
    path.write_bytes(flax.serialization.msgpack_serialize(blob))


def read_model(cls, path):
    blob = flax.serialization.msgpack_restore(path.read_bytes())
    model = cls(**blob["settings"])
    return model, jax.tree_util.tree_map(jnp.asarray, blob["variables"])


def write_grid(images, path, columns):
    images = np.asarray(jnp.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)
    blanks = np.zeros((-len(images) % columns, *images.shape[1:]), np.uint8)
    images = np.concatenate([images, blanks])
    rows = [np.concatenate(list(images[i:i + columns]), axis=1)
            for i in range(0, len(images), columns)]
    Image.fromarray(np.concatenate(rows, axis=0)).save(path)


@partial(jax.jit, static_argnames="gamma")
def autoencoder_step(state, images, key, gamma):
    def objective(params):
        variables = {"params": params, "dictionary": state.dictionary}
        (output, commit, extra), updated = state.apply_fn(
            variables, images, train=True, mutable=["dictionary"], rngs={"restart": key})
        mse = jnp.mean((output - images) ** 2)
        return mse + gamma * commit, (output, mse, commit, extra, updated["dictionary"])

    (_, aux), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
    output, mse, commit, extra, dictionary = aux
    state = state.apply_gradients(grads=grads, dictionary=dictionary)
    return state, output, mse, commit, extra


def fit_autoencoder(flags, stream):
    key, init_key = jax.random.split(jax.random.PRNGKey(0))
    model = DiscreteAE(num_atoms=flags.atoms)
    variables = model.init(init_key, jnp.zeros((1, flags.resolution, flags.resolution, 3)))
    state = AEState.create(apply_fn=model.apply, params=variables["params"],
                           tx=optax.adam(flags.learning_rate), dictionary=variables["dictionary"])
    for epoch in range(flags.epochs):
        for it, images in enumerate(stream.as_numpy_iterator()):
            key, subkey = jax.random.split(key)
            state, output, mse, commit, extra = autoencoder_step(state, images, subkey, flags.gamma)
            if it % 100 == 0:
                print(f"epoch {epoch} it {it} mse {float(mse):.4f} commit {float(commit):.4f} "
                      f"ppl {float(extra['ppl']):.1f} jumped {int(extra['jumped'])}")
        both = jnp.concatenate([images[:8], output[:8]]) / 2 + 0.5
        write_grid(both, flags.logdir / f"epoch_{epoch:03d}.png", columns=8)
        write_model(model, {"params": state.params, "dictionary": state.dictionary},
                    flags.logdir / "autoencoder.msgpack")


@jax.jit
def transformer_step(state, id_map, key):
    def objective(params):
        return state.apply_fn({"params": params}, id_map, train=True,
                              method=IdTransformer.cross_entropy, rngs={"dropout": key})

    nll, grads = jax.value_and_grad(objective)(state.params)
    return state.apply_gradients(grads=grads), nll


def fit_transformer(flags, stream):
    autoencoder, frozen = read_model(DiscreteAE, flags.logdir / "autoencoder.msgpack")
    to_ids = jax.jit(partial(autoencoder.apply, frozen, method=DiscreteAE.to_ids))
    model = IdTransformer(autoencoder.num_atoms, flags.resolution // 4)
    key, init_key = jax.random.split(jax.random.PRNGKey(0))
    variables = model.init(init_key, jnp.zeros((1, model.map_side ** 2), jnp.int32))
    tx = optax.chain(optax.clip_by_global_norm(1.0),
                     optax.adamw(flags.learning_rate, weight_decay=0.01))
    state = train_state.TrainState.create(apply_fn=model.apply, params=variables["params"], tx=tx)
    for epoch in range(flags.epochs):
        summed, batches = 0.0, 0
        for images in stream.as_numpy_iterator():
            key, subkey = jax.random.split(key)
            state, nll = transformer_step(state, to_ids(images), subkey)
            summed += float(nll)
            batches += 1
        print(f"epoch {epoch} nll per id {summed / batches:.4f}")
        write_model(model, {"params": state.params}, flags.logdir / "transformer.msgpack")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["autoencoder", "transformer"])
    parser.add_argument("images", help="directory with one directory of images per class")
    parser.add_argument("--logdir", type=Path, default=Path("logs"))
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--atoms", type=int, default=512)
    parser.add_argument("--gamma", type=float, default=0.25, help="weight of the commitment term")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    flags = parser.parse_args()
    flags.logdir.mkdir(parents=True, exist_ok=True)
    routines = {"autoencoder": fit_autoencoder, "transformer": fit_transformer}
    routines[flags.what](flags, image_stream(flags))

import argparse
from pathlib import Path

import jax

from discrete_ae import DiscreteAE
from fit_jax import read_model, write_grid
from id_transformer import IdTransformer, generate

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Generate images with a fitted transformer")
    parser.add_argument("--logdir", type=Path, default=Path("logs"))
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--temp", type=float, default=1.0)
    parser.add_argument("--k", type=int, default=0)
    parser.add_argument("--key", type=int, default=0)
    parser.add_argument("--png", default="generated.png")
    flags = parser.parse_args()

    autoencoder, ae_variables = read_model(DiscreteAE, flags.logdir / "autoencoder.msgpack")
    transformer, tr_variables = read_model(IdTransformer, flags.logdir / "transformer.msgpack")
    ids = generate(transformer, tr_variables, jax.random.PRNGKey(flags.key), flags.num,
                   flags.temp, flags.k)
    images = autoencoder.apply(ae_variables, ids, method=DiscreteAE.to_images)
    write_grid(images / 2 + 0.5, flags.png, columns=int(flags.num ** 0.5))

"""Render images next to their covered and their guessed version, three to a line (JAX)."""
import argparse

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from torchvision import transforms

from lens import LensConfig, MaskLens, from_patches, to_patches
from train_lens import RGB_MEAN, RGB_STD, load_msgpack


def tile_images(imgs: np.ndarray, per_line: int, border: int = 2) -> Image.Image:
    n, h, w, c = imgs.shape
    canvas = np.zeros((n // per_line * (h + border) + border, per_line * (w + border) + border, c), dtype=np.uint8)
    for i, img in enumerate(imgs):
        top = i // per_line * (h + border) + border
        left = i % per_line * (w + border) + border
        canvas[top:top + h, left:left + w] = (img * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(canvas)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ckpt")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--result", default="render.png")
    parser.add_argument("--prng", type=int, default=0)
    opt = parser.parse_args()

    ckpt = load_msgpack(opt.ckpt)
    conf = LensConfig(**ckpt["conf"])
    lens = MaskLens(conf)

    view_tf = transforms.Compose([transforms.Resize(conf.img_res), transforms.CenterCrop(conf.img_res),
                                  transforms.ToTensor(), transforms.Normalize(RGB_MEAN, RGB_STD)])
    imgs = jnp.stack([view_tf(Image.open(f).convert("RGB")).numpy().transpose(1, 2, 0) for f in opt.files])
    _, guess, cover = lens.apply({"params": ckpt["params"]}, imgs, rngs={"cover": jax.random.PRNGKey(opt.prng)})

    goal = to_patches(imgs, conf.patch_res)
    if conf.scale_targets:  # the guess is relative to each patch, so put its own mean and deviation back
        guess = guess * jnp.sqrt(goal.var(axis=-1, keepdims=True, ddof=1) + 1e-6) + goal.mean(axis=-1, keepdims=True)
    where = cover[..., None]
    covered = from_patches(goal * (1 - where), conf.patch_res, conf.in_chans)
    guessed = from_patches(goal * (1 - where) + guess * where, conf.patch_res, conf.in_chans)

    lines = jnp.stack([imgs, covered, guessed], axis=1).reshape(-1, *imgs.shape[1:])
    lines = (lines * jnp.asarray(RGB_STD) + jnp.asarray(RGB_MEAN)).clip(0, 1)
    tile_images(np.asarray(lines), per_line=3).save(opt.result)
    print(f"saved {opt.result}")


if __name__ == "__main__":
    main()

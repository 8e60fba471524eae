"""Fit the caption matcher, or measure a fitted one by retrieval and by naming classes without training.

Both files are written by torch.save and hold "images", "captions" and optionally "labels" with "classes".
"""

import argparse
import math
from dataclasses import asdict

import numpy as np
import torch

from distort import DistortOptions, distort, middle_square
from encoders import (
    MatcherOptions,
    StackOptions,
    caption_vectors,
    create_weights,
    picture_vectors,
    to_codes,
    to_sphere,
)
from objective import empty_memory, remember, two_way_loss, update_teacher

TEMPLATES = (
    "a photo of a {}",
    "a blurry photo of a {}",
    "a close-up of a {}",
    "a drawing of a {}",
    "a small picture showing one {}",
    "{}",
)


@torch.no_grad()
def all_picture_vectors(weights, options, pictures, chunk, where):
    looks = DistortOptions(side=options.side)
    pieces = [
        picture_vectors(weights, options, middle_square(part.to(where).float() / 255, looks))
        for part in pictures.split(chunk)
    ]
    return torch.cat(pieces)


@torch.no_grad()
def all_caption_vectors(weights, options, captions, chunk, where):
    pieces = [
        caption_vectors(
            weights,
            options,
            to_codes(captions[first : first + chunk], options).to(where),
        )
        for first in range(0, len(captions), chunk)
    ]
    return torch.cat(pieces)


def prompt_ensemble(weights, options, names, where):
    """One unit vector for each class, averaged over the templates."""
    vectors = all_caption_vectors(
        weights,
        options,
        [template.format(name) for name in names for template in TEMPLATES],
        256,
        where,
    )
    return to_sphere(vectors.reshape(len(names), len(TEMPLATES), -1).mean(1))


def top_hits(scores, cutoffs):
    """How often the right answer is in the first few; a tie is no hit."""
    ahead = (scores >= scores.diagonal()[:, None]).sum(1) - 1
    return {cutoff: (ahead < cutoff).float().mean().item() for cutoff in cutoffs}


def measure(weights, options, dataset, flags):
    pictures = all_picture_vectors(weights, options, dataset["images"], flags.chunk, flags.where)
    captions = all_caption_vectors(weights, options, dataset["captions"], flags.chunk, flags.where)
    scores = torch.einsum("ie,je->ij", pictures, captions)
    for direction, table in (
        ("find the caption", scores),
        ("find the picture", scores.T),
    ):
        print(
            f"  {direction}: "
            + "  ".join(f"top{cutoff} {share:.3f}" for cutoff, share in top_hits(table, (1, 5, 10)).items())
        )
    if "labels" in dataset:
        prototypes = prompt_ensemble(weights, options, dataset["classes"], flags.where)
        right = (pictures @ prototypes.T).argmax(1).cpu() == dataset["labels"]
        print(f"  naming {len(prototypes)} classes: {right.float().mean():.3f} right")


def step_size(turn, turns, flags):
    """A linear start over 1/20 of the run and half a cosine after it."""
    ramp = max(turns // 20, 1)
    return flags.peak * min(
        (turn + 1) / ramp,
        0.5 * (1 + math.cos(math.pi * max(turn - ramp, 0) / max(turns - ramp, 1))),
    )


def learn(weights, teacher, options, optimiser, memory, pictures, captions, looks, flags):
    pictures = pictures.to(flags.where).float() / 255
    codes = to_codes(captions, options).to(flags.where)
    with torch.no_grad():
        teacher_picture, teacher_caption = (
            picture_vectors(teacher, options, distort(pictures, looks)),
            caption_vectors(teacher, options, codes),
        )
    picture, caption = (
        picture_vectors(weights, options, distort(pictures, looks)),
        caption_vectors(weights, options, codes),
    )
    cost = two_way_loss(
        weights,
        picture,
        caption,
        teacher_picture,
        teacher_caption,
        memory,
        flags.focus,
    )
    optimiser.zero_grad()
    cost.backward()
    torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
    optimiser.step()
    with torch.no_grad():
        weights["log_sharpness"].clamp_(0.0, math.log(100.0))
    update_teacher(teacher, weights, flags.inertia)
    remember(memory, teacher_picture, teacher_caption)
    return cost.item()


def run(dataset, reserve, flags):
    options = MatcherOptions(
        StackOptions(flags.hidden, flags.vision_depth, flags.num_heads),
        StackOptions(flags.hidden, flags.language_depth, flags.num_heads),
        flags.side,
        flags.tile,
    )
    weights = {
        key: weight.detach().to(flags.where).requires_grad_()
        for key, weight in create_weights(options, flags.random_state).items()
    }
    teacher = {key: weight.detach().clone() for key, weight in weights.items()}
    optimiser = torch.optim.AdamW(
        [
            {
                "params": [weight for weight in weights.values() if weight.ndim > 1],
                "weight_decay": flags.l2,
            },
            {
                "params": [weight for weight in weights.values() if weight.ndim < 2],
                "weight_decay": 0.0,
            },
        ],
        lr=flags.peak,
        betas=(0.9, 0.98),
    )
    memory, looks = (
        empty_memory(flags.capacity, options.joint, flags.where),
        DistortOptions(side=options.side),
    )
    shuffler, available = np.random.default_rng(flags.random_state), len(dataset["captions"])
    chunks = available // flags.chunk
    if chunks == 0:
        raise SystemExit(f"the set has {available} pairs, fewer than one chunk of {flags.chunk}")
    for sweep in range(flags.sweeps):
        sequence, running = shuffler.permutation(available), 0.0
        for turn in range(chunks):
            for group in optimiser.param_groups:
                group["lr"] = step_size(sweep * chunks + turn, flags.sweeps * chunks, flags)
            chosen = sequence[turn * flags.chunk : (turn + 1) * flags.chunk]
            captions = [dataset["captions"][which] for which in chosen]
            running += learn(
                weights,
                teacher,
                options,
                optimiser,
                memory,
                dataset["images"][torch.from_numpy(chosen)],
                captions,
                looks,
                flags,
            )
        print(f"sweep {sweep}: cost {running / chunks:.4f}, tau {math.exp(-weights['log_sharpness'].item()):.4f}")
        measure(teacher, options, reserve, flags)
        torch.save(
            {
                "options": asdict(options),
                "student": {key: weight.detach() for key, weight in weights.items()},
                "teacher": teacher,
            },
            flags.checkpoint,
        )


def restore(filename, where):
    saved = torch.load(filename, map_location=where, weights_only=True)
    fields = saved["options"]
    fields["vision"], fields["language"] = (
        StackOptions(**fields["vision"]),
        StackOptions(**fields["language"]),
    )
    return saved["teacher"], MatcherOptions(**fields)


if __name__ == "__main__":
    cli = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_argument("reserve", help="pairs to measure on")
    cli.add_argument("--fit", help="pairs to learn from; if left out, --checkpoint is measured")
    for flag, preset in dict(
        hidden=256,
        num_heads=4,
        vision_depth=8,
        language_depth=6,
        side=112,
        tile=14,
    ).items():
        cli.add_argument("--" + flag.replace("_", "-"), type=int, default=preset)
    for flag, preset in dict(chunk=256, sweeps=40, capacity=8192, random_state=0).items():
        cli.add_argument("--" + flag.replace("_", "-"), type=int, default=preset)
    for flag, preset in dict(peak=5e-4, l2=0.05, inertia=0.995, focus=0.5).items():
        cli.add_argument("--" + flag, type=float, default=preset)
    cli.add_argument("--where", default="cuda" if torch.cuda.is_available() else "cpu")
    cli.add_argument("--checkpoint", default="matcher.pt")
    flags = cli.parse_args()

    torch.manual_seed(flags.random_state)
    reserve = torch.load(flags.reserve, weights_only=True)
    if flags.fit:
        run(torch.load(flags.fit, weights_only=True), reserve, flags)
    else:
        measure(*restore(flags.checkpoint, flags.where), reserve, flags)

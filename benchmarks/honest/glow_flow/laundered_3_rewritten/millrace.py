"""Three commands; whatever follows the file names is given as key=value.

    python millrace.py learn images.npy bits=5 odds=true
    python millrace.py invent millrace.pt sheet.npy amount=64 heat=0.7 across=8
    python millrace.py travel millrace.pt sheet.npy images.npy here=0 there=1 across=8
"""
import sys
from dataclasses import asdict

import numpy as np
import torch

import learning
import machine
from program import Spec


def convert(text, example):
    if isinstance(example, bool):
        return text.lower() in ("1", "true", "yes")
    return type(example)(text)


def settings(words, defaults):
    given = dict(word.split("=", 1) for word in words)
    if unknown := given.keys() - defaults.keys():
        sys.exit(f"unknown: {', '.join(sorted(unknown))}\n{__doc__}")
    return {k: convert(given[k], v) if k in given else v for k, v in defaults.items()}


def recall(path):
    stored = torch.load(path, map_location="cpu")
    return Spec(**stored["spec"]), stored["memory"]


def sheet(images, across):
    """Rows of images, side by side, as one picture; what does not fill a row is dropped."""
    n, h, w, c = images.shape
    picture = np.empty((n // across * h, across * w, c), np.uint8)
    for k, image in enumerate(images[:n // across * across].cpu().numpy()):
        top, left = k // across * h, k % across * w
        picture[top:top + h, left:left + w] = image
    return picture


def command_learn(images, *words):
    learning.learn(images, learning.Plan(**settings(words, asdict(learning.Plan()))))


def command_invent(checkpoint, out, *words):
    chosen = settings(words, {"amount": 64, "heat": 0.7, "across": 8})
    images = machine.invent(*recall(checkpoint), chosen["amount"], chosen["heat"])
    np.save(out, sheet(images, chosen["across"]))


def command_travel(checkpoint, out, path, *words):
    chosen = settings(words, {"here": 0, "there": 1, "across": 8})
    images = learning.read_bytes(path)
    stops = machine.travel(*recall(checkpoint), images[chosen["here"]], images[chosen["there"]],
                           chosen["across"])
    np.save(out, sheet(stops, chosen["across"]))


if __name__ == "__main__":
    commands = {"learn": command_learn, "invent": command_invent, "travel": command_travel}
    try:
        command, arguments = commands[sys.argv[1]], sys.argv[2:]
    except (IndexError, KeyError):
        sys.exit(__doc__)
    command(*arguments)

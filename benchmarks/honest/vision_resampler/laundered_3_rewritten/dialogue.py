"""Write a picture into a conversation, first as marks, then as vectors."""

import re

import torch
from optics import all_looks
from perceiver import Perceiver
from planning import plan
from spec import default_spec

HERE = re.compile(re.escape("{picture}"))
MARK = "\u25a1"
FRAMES = {"whole": "\u27e8w{}\u27e9", "part": "\u27e8p{}\u27e9"}


def vocabulary():
    return [MARK] + [frame.format(end) for frame in FRAMES.values() for end in ("", "/")]


def _framed(kind, count):
    start, end = (FRAMES[kind].format(side) for side in ("", "/"))
    return "".join([start, MARK * count, end])


def spell(the_plan, count):
    lines = [_framed("whole", count)]
    if the_plan.is_split:
        down, across = the_plan.split
        lines.extend([_framed("part", count) * across] * down)
    return "\n".join(lines)


def write(text, plans, count):
    """Text with every {picture} spelled out."""
    wanted = len(HERE.findall(text))
    if wanted != len(plans):
        raise ValueError(f"the text shows {wanted} pictures, but there are {len(plans)}")
    queue = iter(plans)
    return HERE.sub(lambda _: spell(next(queue), count), text)


def inject(ids, vectors, seen, mark_id):
    """A copy of vectors (B, T, D) in which the k-th mark, in reading order, holds row k of seen (V, P, D)."""
    spots = (ids == mark_id).flatten().nonzero().squeeze(1)
    rows = seen.reshape(-1, seen.shape[-1])
    if len(spots) != len(rows):
        raise ValueError(f"{len(rows)} vectors do not fit {len(spots)} marks")
    table = vectors.flatten(0, 1)
    return table.index_copy(0, spots, rows.to(table)).view_as(vectors)


if __name__ == "__main__":
    spec = default_spec(d_eye=256, d_mouth=512, heads=8)
    eye = Perceiver(spec)
    picture = torch.rand(3, 600, 1000)
    layout = plan(*picture.shape[1:], spec)
    seen = eye(list(all_looks(picture, layout, spec)))
    print("split", layout.split, "seen", tuple(seen.shape))
    marks = write("{picture}\nWhat do you see?", [layout], spec.probe_side**2).count(MARK)
    ids = torch.tensor([7] * marks + [1] * 5)[None]
    print("injected", tuple(inject(ids, torch.zeros(1, marks + 5, 512), seen, 7).shape))

"""The background that ships: its size, its speed, and that it knows what everybody knows."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.background import Background, rarities, rarity
from detector.background.archive import open_archive
from detector.background.background import shipped
from detector.background.rarity import Kind
from detector.fingerprint.repository import fingerprint_files

MEGABYTE = 10**6

RANDOM_RESIZED_CROP = """
import math
import torch

def get_params(img, scale, ratio):
    height, width = img.shape[-2:]
    area = height * width
    log_ratio = torch.log(torch.tensor(ratio))
    for _ in range(10):
        target_area = area * torch.empty(1).uniform_(scale[0], scale[1]).item()
        aspect_ratio = torch.exp(torch.empty(1).uniform_(log_ratio[0], log_ratio[1])).item()
        w = int(round(math.sqrt(target_area * aspect_ratio)))
        h = int(round(math.sqrt(target_area / aspect_ratio)))
        if 0 < w <= width and 0 < h <= height:
            i = torch.randint(0, height - h + 1, size=(1,)).item()
            j = torch.randint(0, width - w + 1, size=(1,)).item()
            return i, j, h, w
    in_ratio = float(width) / float(height)
    if in_ratio < min(ratio):
        w = width
        h = int(round(w / min(ratio)))
    elif in_ratio > max(ratio):
        h = height
        w = int(round(h * max(ratio)))
    else:
        w = width
        h = height
    i = (height - h) // 2
    j = (width - w) // 2
    return i, j, h, w
"""
OWN_INVENTION = """
import torch

def braid(strands, knots=7):
    phase = torch.linspace(0.3, 4.71, knots).cos() * strands.std(dim=-2, keepdim=True)
    order = torch.argsort(strands.roll(knots // 3, dims=-1).cumsum(-1), descending=True)
    woven = torch.gather(strands, -1, order) - phase.logsumexp(-1, keepdim=True)
    for turn in range(knots, 1, -2):
        woven = torch.where(woven.abs() > turn / 13.5, woven.flip(-2) * 0.61, woven.tril(turn))
    return torch.einsum("bik,bjk->bij", woven, strands.erfinv()).diagonal(dim1=-2, dim2=-1)
"""


def terms(source: str) -> NDArray[np.uint64]:
    """The terms of the only function of a file."""
    prints = fingerprint_files({"file.py": source.encode()}).fingerprints
    return next(np.unique(p.terms).view(np.uint64) for p in prints if p.unit.kind == "function")


def test_it_is_counted_from_enough_packages_and_functions() -> None:
    background = Background.open()
    assert len(background.packages) >= 120
    assert background.functions >= 300_000


def test_it_is_small_and_whole() -> None:
    archive = open_archive(shipped())
    tables = [array.nbytes for name, array in archive.arrays.items() if not name.startswith("commons.")]
    assert sum(tables) <= 8 * MEGABYTE
    assert shipped().stat().st_size <= 20 * MEGABYTE
    assert archive.intact()


def test_it_opens_within_fifty_milliseconds_of_processor_time() -> None:
    code = (
        "import time, numpy, detector.background as b; start = time.process_time();"
        "b.Background.open(); print(time.process_time() - start)"
    )
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.05


def test_a_hundred_thousand_terms_are_weighed_within_a_tenth_of_a_second() -> None:
    background = Background.open()
    asked = np.random.default_rng(1).integers(0, 2**63, 100_000).astype(np.uint64)
    background.bits(asked)
    start = time.process_time()
    background.bits(asked)
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    ("kind", "common", "rare"),
    [
        ("word", "hidden_size", "slice_image_minicpm"),
        ("text", "bilinear", "the quick brown vpm jumps over the resampler"),
        ("key", "hidden_size", "query_num"),
        ("entry", "hidden_size=768", "query_num=96"),
    ],
)
def test_what_is_in_everybodys_files_carries_fewer_bits(kind: Kind, common: str, rare: str) -> None:
    assert rarity(kind, common) < rarity(kind, rare)
    assert rarities(kind, [common, rare]).tolist() == [rarity(kind, common), rarity(kind, rare)]


def test_a_routine_that_everybody_knows_is_explained_by_the_libraries_that_hold_it() -> None:
    unit = terms(RANDOM_RESIZED_CROP)
    [explanations] = Background.open().commons.explain([unit])
    assert any("torchvision" in explanation.packages for explanation in explanations)


def test_a_routine_that_nobody_published_is_not_explained() -> None:
    unit = terms(OWN_INVENTION)
    assert Background.open().commons.explain([unit]) == [()]

"""Code findings on real small repositories: partners, lines, renames, split functions, upstreams."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sides import opened, snapshots

from detector.evidence import code
from detector.evidence.finding import Evidence, Finding, Rename
from detector.evidence.registry import Context
from detector.options import Options

ORIGINAL = """
import torch
import torch.nn.functional as F
from torch import nn


class Pooler(nn.Module):
    def __init__(self, width, slots, heads):
        super().__init__()
        self.slots = nn.Parameter(torch.randn(slots, width) * width**-0.5)
        self.norm = nn.LayerNorm(width, eps=3e-7)
        self.attend = nn.MultiheadAttention(width, heads, dropout=0.037, batch_first=True)

    def forward(self, patches, sizes):
        longest = int(sizes.prod(dim=-1).max())
        blocked = torch.arange(longest, device=patches.device)[None] >= sizes.prod(dim=-1)[:, None]
        keys = self.norm(F.pad(patches, (0, 0, 0, longest - patches.shape[1]), value=0.125))
        query = self.slots.unsqueeze(0).expand(len(patches), -1, -1)
        pooled, weights = self.attend(query, keys, keys, key_padding_mask=blocked)
        return F.normalize(pooled, p=1.5, dim=-1), weights.softmax(dim=1)


def grid_of(width, height, limit):
    wanted = max(1, round(width * height / 448**2))
    shapes = [(m, n) for m in range(1, limit + 1) for n in range(1, limit + 1) if m * n <= wanted + 2]
    ranked = sorted(shapes, key=lambda s: (abs(s[0] / s[1] - width / height), -s[0] * s[1]))
    columns, rows = ranked[0]
    return columns, rows, width // columns * 14, height // rows * 14


def spectrum(wave, bins):
    frames = wave.unfold(-1, 400, 160) * torch.hann_window(400, periodic=False)
    power = torch.fft.rfft(frames, n=512, norm="ortho").abs().pow(1.7)
    bands = power @ torch.linspace(20.0, 7600.0, bins).log1p().reshape(1, -1).expand(257, bins)
    return bands.clamp(min=1e-9).log10().flip(-1).cumsum(dim=0)
"""
NAMES = {
    "Pooler": "Condenser", "slots": "latents", "attend": "mixer", "patches": "tokens", "longest": "peak",
    "blocked": "hidden_at", "keys": "memory", "query": "probes", "pooled": "summary",
    "grid_of": "best_layout", "wanted": "ideal", "shapes": "options", "ranked": "ordered",
    "spectrum": "log_bands", "frames": "chunks", "power": "energy", "bands": "result",
}  # fmt: skip


def renamed(source: str) -> str:
    for old, new in NAMES.items():
        source = re.sub(rf"\b{old}\b", new, source)
    return source


def compared(folder: Path, a: str, b: str, upstream: str = "") -> Evidence:
    sides = snapshots(folder, {"pkg/pool.py": a}, {"lib/condense.py": b})
    upstreams = (opened(folder / "upstream", {"up.py": upstream}),) if upstream else ()
    return code.find(*sides, Context(Options(jobs=1), upstreams))


def partners(found: Evidence) -> set[tuple[str, str]]:
    return {(f.a[0].name, f.b[0].name) for f in found.findings}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return compared(tmp_path_factory.mktemp("copy"), ORIGINAL, renamed(ORIGINAL))


def finding(found: Evidence, name: str) -> Finding:
    return next(f for f in found.findings if f.a[0].name == name)


def test_every_unit_finds_its_partner(copy: Evidence) -> None:
    assert {
        ("Pooler.forward", "Condenser.forward"),
        ("grid_of", "best_layout"),
        ("spectrum", "log_bands"),
    } <= partners(copy)
    assert all(
        left.rpartition(".")[2] in (right.rpartition(".")[2], *NAMES) for left, right in partners(copy)
    )


def test_renamed_code_says_so_and_the_same_bytes_are_identical(copy: Evidence, tmp_path: Path) -> None:
    assert finding(copy, "grid_of").transformations == ("renamed",)
    assert finding(compared(tmp_path, ORIGINAL, ORIGINAL), "grid_of").transformations == ("identical",)


def test_lines_correspond_one_to_one(copy: Evidence) -> None:
    lines = finding(copy, "Pooler.forward").lines
    assert len(lines) >= 5
    assert all(line.a_start == line.b_start and line.a_end == line.b_end for line in lines)


def test_spans_and_lines_lie_in_the_unit(copy: Evidence) -> None:
    for found in copy.findings:
        span = found.a[0]
        assert all(span.start_line <= line.a_start <= line.a_end <= span.end_line for line in found.lines)


def of(renames: tuple[Rename, ...]) -> dict[tuple[str, str], Rename]:
    return {(rename.a, rename.b): rename for rename in renames}


def test_the_rename_map_names_kinds_and_sites(copy: Evidence) -> None:
    renames = of(copy.renames)
    assert renames["Pooler", "Condenser"].kind == "class"
    assert renames["grid_of", "best_layout"].kind == "function"
    assert renames["slots", "latents"].kind in ("attribute", "parameter")
    assert renames["ranked", "ordered"].kind == "variable"
    assert all(rename.agreeing > rename.contradicting for rename in copy.renames)
    assert {(a, b) for a, b in renames if a in NAMES} <= set(NAMES.items())


def test_a_function_that_was_split_maps_to_both_parts(tmp_path: Path) -> None:
    body = [line for line in ORIGINAL.split("def spectrum")[1].splitlines() if line.strip()][1:]
    whole = "import torch\n\n\ndef both(width, height, limit, wave, bins):\n" + "\n".join(
        [*ORIGINAL.split("def grid_of")[1].split("def spectrum", maxsplit=1)[0].splitlines()[1:6], *body]
    )
    found = compared(tmp_path, ORIGINAL, whole)
    assert {("grid_of", "both"), ("spectrum", "both")} <= partners(found)
    assert {t for f in found.findings for t in f.transformations} & {"split", "merged"}


def test_what_an_upstream_holds_as_well_is_set_apart(tmp_path: Path) -> None:
    shared = "import torch\n\n\ndef spectrum" + ORIGINAL.split("def spectrum")[1]
    found = compared(tmp_path, ORIGINAL, renamed(ORIGINAL), upstream=shared)
    assert any("upstream" in name for name in finding(found, "spectrum").explained_by)
    assert not any("upstream" in name for name in finding(found, "grid_of").explained_by)
    alone = compared(tmp_path / "alone", ORIGINAL, renamed(ORIGINAL))
    assert 0 < found.extent_a.share < alone.extent_a.share  # the share is that of what nothing explains


def test_unrelated_code_has_no_finding(tmp_path: Path) -> None:
    other = "import csv\n\n\ndef table(path):\n    return [r[1:] for r in csv.reader(path) if r]\n"
    assert not compared(tmp_path, ORIGINAL, other).findings


def test_sides_without_code_have_no_finding_and_no_error(tmp_path: Path) -> None:
    found = compared(tmp_path, "", "# nothing\n")
    assert not found.findings and found.extent_a.share == found.extent_b.share == 0.0


def test_matched_units_and_their_relations_are_the_graph(copy: Evidence) -> None:
    ids = {node.id for node in copy.graph.nodes}
    assert all(edge.source in ids and edge.target in ids for edge in copy.graph.edges)
    assert {"match", "contains"} <= {edge.kind for edge in copy.graph.edges}

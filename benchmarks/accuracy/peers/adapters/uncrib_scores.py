"""Scores by Uncrib: `python -m benchmarks.accuracy.peers.adapters.uncrib_scores FOLDER OUT [--whole]`.

A submission's score is the most bits of any of its units with any of the other's; with `--whole`, the part
that the report on the two folders says is covered of the side that is covered more.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from detector import compare
from detector.background import Background
from detector.candidate.bag import Bags, bags
from detector.candidate.candidate import candidates
from detector.fingerprint.repository import fingerprint_files
from detector.match.chance import law, scores
from detector.options import Options

FEWEST_NODES = 3


def main(folder: Path, out: Path, whole: bool) -> None:
    """Score every pair of submissions."""
    rows = _reports(folder) if whole else _units(folder)
    out.write_text(json.dumps({"submissions": rows}), encoding="utf-8")


def _reports(folder: Path) -> list[tuple[str, str, float]]:
    rows = []
    for left in sorted((folder / "left").iterdir()):
        for right in sorted((folder / "right").iterdir()):
            summary = compare(str(right), str(left), Options(history=False)).summary
            rows.append((left.name, right.name, max(summary.share_a, summary.share_b)))
    return rows


def _units(folder: Path) -> list[tuple[str, str, float]]:
    background = Background.open()
    left, left_bags = _side(folder / "left", background)
    right, right_bags = _side(folder / "right", background)
    pairs = candidates(left_bags, right_bags)
    best: dict[tuple[str, str], float] = {}
    for a, b, score in zip(pairs.a, pairs.b, scores(left_bags, right_bags, pairs), strict=True):
        names = left[a], right[b]
        best[names] = max(best.get(names, 0.0), law().bits(float(score)))
    return [(*names, bits) for names, bits in sorted(best.items()) if bits > 0]


def _side(folder: Path, background: Background) -> tuple[list[str], Bags]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}
    units = [unit for unit in fingerprint_files(files).fingerprints if len(unit.places) >= FEWEST_NODES]
    return [Path(unit.unit.path).parts[0] for unit in units], bags(units, background.bits)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), "--whole" in sys.argv[3:])

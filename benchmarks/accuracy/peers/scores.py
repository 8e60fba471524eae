"""What a tool wrote, as scores of pairs of submissions.

A tool that knows submissions writes `{"submissions": [[left, right, score], ...]}`; one that knows files
only, `{"files": [[left file, right file, similarity, share of left, share of right], ...]}`; JPlag its CSV.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.accuracy.peers.measures import Pair

_Row = tuple[str, str, float, float, float]


def pair_scores(out: Path, folder: Path, whole: bool) -> dict[Pair, float]:
    """Scores by names of the left and the right submission.

    Of single files a tool's own similarity. Of `whole` repositories, by a tool that knows files only, the
    part of the side that is covered more (by bytes, each file by its best match).
    """
    if not out.exists():
        return _of_jplag(out.with_suffix("") / "results.csv", whole)
    found = json.loads(out.read_text("utf-8"))
    if "submissions" in found:
        return {(left, right): score for left, right, score in found["submissions"]}
    return _covered(found["files"], folder) if whole else _alike(found["files"], folder)


def _names(left: str, right: str, folder: Path) -> Pair:
    """The submissions that two files belong to: folder/left/NAME/... and folder/right/NAME/..."""
    return Path(left).relative_to(folder).parts[1], Path(right).relative_to(folder).parts[1]


def _alike(rows: Iterable[_Row], folder: Path) -> dict[Pair, float]:
    return {_names(left, right, folder): similarity for left, right, similarity, _, _ in rows}


def _covered(rows: Iterable[_Row], folder: Path) -> dict[Pair, float]:
    best: dict[tuple[Pair, str], dict[str, float]] = {}
    for left, right, _, share_left, share_right in rows:
        pair = _names(left, right, folder)
        for side, path, share in (("left", left, share_left), ("right", right, share_right)):
            shares = best.setdefault((pair, side), {})
            shares[path] = max(shares.get(path, 0.0), share)
    scores: dict[Pair, float] = {}
    for (pair, side), shares in best.items():
        submission = folder / side / pair[side == "right"]
        size = sum(file.stat().st_size for file in submission.rglob("*.py"))
        covered = sum(Path(path).stat().st_size * share for path, share in shares.items()) / max(1, size)
        scores[pair] = max(scores.get(pair, 0.0), covered)
    return scores


def _of_jplag(path: Path, whole: bool) -> dict[Pair, float]:
    """Its average similarity, by which it ranks; of repositories the larger of the two sides' shares."""
    scores = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            names = dict(row[f"submissionName{number}"].replace("\\", "/").split("/", 1) for number in "12")
            if len(names) == 2:  # it compares the left submissions with each other, too
                score = float(row["maxSimilarity" if whole else "averageSimilarity"])
                scores[names["left"], names["right"]] = score
    return scores

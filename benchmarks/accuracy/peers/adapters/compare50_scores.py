"""Scores by compare50's `structure`, the pass that it ranks by: `python compare50_scores.py FOLDER OUT`."""

import json
import sys
from pathlib import Path

from compare50 import Submission, passes, rank
from compare50._api import progress_bar
from compare50._data import Preprocessor

PAIRS = 10_000_000
LARGEST = 2**20
"""bytes of the largest file that its command takes by default"""


def main(folder: Path, out: Path) -> None:
    """Rank the submissions of `left` against those of `right`, which stand as the archive."""
    chosen = passes.structure
    left, right = (
        [
            Submission(
                path,
                [str(file.relative_to(path)) for file in sorted(path.rglob("*.py")) if taken(file)],
                preprocessor=Preprocessor(chosen.preprocessors),
                is_archive=side == "right",
            )
            for path in sorted((folder / side).iterdir())
        ]
        for side in ("left", "right")
    )
    with progress_bar("", disable=True):
        ranked = rank(left, right, set(), chosen, n=PAIRS)
    rows = []
    for score in ranked:
        sides = {Path(sub.path).parent.name: Path(sub.path).name for sub in (score.sub_a, score.sub_b)}
        if len(sides) == 2:
            rows.append([sides["left"], sides["right"], float(score.score)])
    out.write_text(json.dumps({"submissions": rows}), encoding="utf-8")


def taken(file: Path) -> bool:
    """Whether compare50's command would compare a file."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return file.stat().st_size <= LARGEST


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

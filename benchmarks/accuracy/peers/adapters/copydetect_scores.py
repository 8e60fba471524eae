"""Scores by copydetect, at its default thresholds: `python copydetect_scores.py FOLDER OUT`."""

import json
import sys
from pathlib import Path

from copydetect import CodeFingerprint, compare_files

NOISE, GUARANTEE = 25, 30


def main(folder: Path, out: Path) -> None:
    """Compare every file of `left` with every file of `right`."""
    left, right = (
        [
            CodeFingerprint(str(path), k=NOISE, win_size=GUARANTEE - NOISE + 1)
            for path in sorted((folder / side).rglob("*.py"))
        ]
        for side in ("left", "right")
    )
    rows = []
    for a in left:
        for b in right:
            _, (share_a, share_b), _ = compare_files(a, b)
            if share_a or share_b:
                rows.append([a.filename, b.filename, float(share_a), float(share_b)])
    out.write_text(json.dumps({"files": rows}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

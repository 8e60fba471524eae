"""Scores by copydetect, with its defaults: `python copydetect_scores.py FOLDER OUT`."""

import json
import sys
from pathlib import Path

from copydetect import CopyDetector


def main(folder: Path, out: Path) -> None:
    """Compare every file of `left` with every file of `right`; the similarity is the left one's share,
    by which copydetect sorts its report.
    """
    detector = CopyDetector(
        test_dirs=[str(folder / "left")], ref_dirs=[str(folder / "right")], extensions=["py"], silent=True
    )
    detector.run()
    rows = []
    for left, shares in zip(detector.test_files, detector.similarity_matrix, strict=True):
        for right, (share_left, share_right) in zip(detector.ref_files, shares, strict=True):
            if share_left > 0 or share_right > 0:
                rows.append([left, right, float(share_left), float(share_left), float(share_right)])
    out.write_text(json.dumps({"files": rows}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

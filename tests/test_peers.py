"""Measures of the comparison with other tools, and how file scores become scores of submissions."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.accuracy.peers.measures import area, first, recall_without_false
from benchmarks.accuracy.peers.tools import Tool, ToolError, run
from benchmarks.accuracy.peers.work import alone

TRUE = {("a", "A"), ("b", "B")}


def test_recall_counts_what_stands_above_every_false_pair() -> None:
    assert recall_without_false({("a", "A"): 3.0, ("b", "B"): 1.0, ("a", "B"): 2.0}, TRUE) == 0.5
    assert recall_without_false({("a", "A"): 2.0, ("a", "B"): 2.0}, TRUE) == 0.0
    assert recall_without_false({}, TRUE) == 0.0


def test_a_tie_is_not_first() -> None:
    assert first({("a", "A"): 2.0, ("a", "B"): 2.0, ("b", "B"): 1.0}, TRUE) == 0.5


def test_area_is_average_precision_and_a_pair_without_a_score_is_lost() -> None:
    assert area({("a", "A"): 3.0, ("b", "B"): 2.0}, TRUE) == 1.0
    assert area({("a", "A"): 3.0, ("x", "B"): 2.0, ("b", "B"): 1.0}, TRUE) == pytest.approx((1 + 2 / 3) / 2)
    assert area({("a", "A"): 3.0}, TRUE) == 0.5
    assert area({("a", "A"): 1.0, ("x", "B"): 1.0}, TRUE) == pytest.approx(0.25)


def test_a_function_stands_alone_with_the_imports_it_uses() -> None:
    text = "import os, sys\nfrom m import f as g\nclass C:\n    def go(self):\n        return g(sys.path)\n"
    assert alone(text, ["C.go"]) == (
        "import sys\n\n\nfrom m import f as g\n\n\ndef go(self):\n    return g(sys.path)\n"
    )


def test_file_scores_are_weighed_by_size_and_the_larger_side_counts(tmp_path: Path) -> None:
    for name, size in (("left/a/x.py", 30), ("left/a/y.py", 10), ("right/A/z.py", 10)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#" * size)
    rows = [[str(tmp_path / "left/a/x.py"), str(tmp_path / "right/A/z.py"), 0.5, 0.2]]
    done = run(_writing({"files": rows}), tmp_path)
    assert done.scores == {("a", "A"): pytest.approx(0.5 * 30 / 40)}
    assert done.seconds > 0 and done.megabytes > 1


def test_a_tool_that_fails_says_why(tmp_path: Path) -> None:
    failing = Tool("broken", lambda folder, out, whole: [sys.executable, "-c", "raise SystemExit('no luck')"])
    with pytest.raises(ToolError, match="no luck"):
        run(failing, tmp_path)


def _writing(found: object) -> Tool:
    program = f"import sys; open(sys.argv[1], 'w').write({json.dumps(found)!r})"
    return Tool("fixed", lambda folder, out, whole: [sys.executable, "-c", program, str(out)])

"""Measures of the comparison with other tools, and how what a tool says becomes scores of pairs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from git_factory import new_repository

from benchmarks.accuracy.peers.measures import area, first, recall_without_false
from benchmarks.accuracy.peers.record import recorded
from benchmarks.accuracy.peers.running import run
from benchmarks.accuracy.peers.scores import pair_scores
from benchmarks.accuracy.peers.tools import Tool, ToolError
from benchmarks.accuracy.peers.work import Work, alone, repository_work, shape

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


def test_a_pair_of_which_it_is_not_known_does_not_count(tmp_path: Path) -> None:
    work = Work("", tmp_path, frozenset({("a", "A")}), frozenset({("a", "B")}))
    assert work.counted({("a", "A"): 1.0, ("a", "B"): 2.0, ("a", "C"): 3.0}) == {
        ("a", "A"): 1.0,
        ("a", "B"): 2.0,
    }


def test_two_functions_have_one_shape_if_they_differ_in_names_only() -> None:
    text = "import os\n\ndef go(self, path, *, deep=1):\n    return os.walk(self.root, top=path)[deep]\n"
    renamed = "from x import y\n\ndef run(me, a, *, b=1):\n    return y.z(me.c, d=a)[b]\n"
    assert shape(text) == shape(renamed) != shape(renamed.replace("=1", "=2"))


def test_single_files_have_the_similarity_that_the_tool_gives_them(tmp_path: Path) -> None:
    files = _files(tmp_path, {"left/a/x.py": 30, "right/A/z.py": 10})
    done = run(_writing([[*files, 0.4, 0.5, 0.2]]), tmp_path)
    assert done.scores == {("a", "A"): 0.4}


def test_repositories_are_weighed_file_by_file_by_size_and_the_larger_side_counts(tmp_path: Path) -> None:
    x, _, z = _files(tmp_path, {"left/a/deep/x.py": 30, "left/a/y.py": 10, "right/A/z.py": 10})
    done = run(_writing([[x, z, 0.4, 0.5, 0.2]]), tmp_path, whole=True)
    assert done.scores == {("a", "A"): pytest.approx(0.5 * 30 / 40)}


def test_jplag_says_sides_by_folder_and_compares_the_left_ones_among_themselves(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "results.csv").write_text(
        "submissionName1,submissionName2,averageSimilarity,maxSimilarity\n"
        "right/A,left/z,0.25,0.5\nleft/a,left/z,1.0,1.0\n"
    )
    out = tmp_path / "scores.json"
    assert pair_scores(out, tmp_path, whole=False) == {("z", "A"): 0.25}
    assert pair_scores(out, tmp_path, whole=True) == {("z", "A"): 0.5}


def test_time_and_memory_are_those_of_all_processes_together(tmp_path: Path) -> None:
    inner = "import time; held = bytearray(b'x') * 60_000_000; time.sleep(1)"
    outer = f"import subprocess, sys; p = [sys.executable, '-c', {inner!r}]; a = subprocess.Popen(p); " + (
        "b = subprocess.Popen(p); a.wait(); b.wait(); open(sys.argv[1], 'w').write('{\"files\": []}')"
    )
    done = run(Tool("two", lambda folder, out, whole: [sys.executable, "-c", outer, str(out)]), tmp_path)
    assert done.megabytes > 115 and done.seconds > 1
    assert 0 < done.processor < done.seconds * 2


def test_a_tool_that_fails_says_why(tmp_path: Path) -> None:
    failing = Tool("broken", lambda folder, out, whole: [sys.executable, "-c", "raise SystemExit('no luck')"])
    with pytest.raises(ToolError, match="no luck"):
        run(failing, tmp_path)


def test_a_repository_is_exported_under_its_own_paths(tmp_path: Path) -> None:
    for name, text in (("copy", "x = 1\n"), ("first", "y = 2\n")):
        repository = new_repository(tmp_path / "mirror" / f"me+{name}" / "repo")
        repository.commit({"package/code.py": text, "README.md": "no code"})
    pairs = tmp_path / "pairs.json"
    derived, gone = (
        {"a": "me/first@HEAD", "b": "me/copy@HEAD"},
        {"a": "me/first@0123456", "b": "me/copy@HEAD"},
    )
    pairs.write_text(json.dumps({"derived": [derived], "independent": [gone]}))
    left_out: list[str] = []
    work = repository_work(pairs, tmp_path / "mirror", tmp_path / "work", left_out)
    assert work.true == {("me+copy", "me+first")} and not work.false
    assert len(left_out) == 1 and "me/first@0123456" in left_out[0]
    written = sorted(str(path.relative_to(work.folder)) for path in work.folder.rglob("*") if path.is_file())
    assert written == ["left/me+copy/package/code.py", "right/me+first/package/code.py"]


def test_what_was_done_is_not_done_again_until_files_or_code_change(tmp_path: Path) -> None:
    work = Work("", tmp_path, frozenset(), frozenset())
    x, z = _files(tmp_path, {"left/a/x.py": 30, "right/A/z.py": 10})
    first = recorded(_writing([[x, z, 0.4, 0.5, 0.2]]), work, tmp_path / "runs")
    other = _writing([[x, z, 0.7, 0.5, 0.2]])
    assert recorded(other, work, tmp_path / "runs") == first
    assert recorded(replace(other, code="new"), work, tmp_path / "runs").scores == {("a", "A"): 0.7}
    Path(x).write_text("pass")
    assert recorded(other, work, tmp_path / "runs").scores == {("a", "A"): 0.7}


def _files(folder: Path, sizes: dict[str, int]) -> list[str]:
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("#" * size)
    return [str(folder / name) for name in sizes]


def _writing(rows: list[list[object]]) -> Tool:
    program = f"import sys; open(sys.argv[1], 'w').write({json.dumps({'files': rows})!r})"
    return Tool("fixed", lambda folder, out, whole: [sys.executable, "-c", program, str(out)])

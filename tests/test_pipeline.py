"""The whole comparison, on real repositories, through the library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_factory import new_repository

import detector
from detector import child
from detector.evidence import identical, leftovers, registry
from detector.evidence.finding import Evidence
from detector.report.model import Report
from detector.report.serial import from_json, to_json
from detector.report.wording import scale_step
from detector.snapshot import open_snapshot

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCRIB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, EXAMPLES / "make_repositories.py", out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="session")
def laundered(examples: Path) -> Report:
    return detector.compare(f"file://{examples}/original", f"file://{examples}/laundered")


@pytest.fixture(scope="session")
def independent(examples: Path) -> Report:
    return detector.compare(str(examples / "original"), str(examples / "independent"))


def test_a_copy_under_new_names_is_strong_and_an_honest_stranger_is_not(
    laundered: Report, independent: Report
) -> None:
    assert scale_step(laundered.summary.verdict) >= scale_step("strong")
    assert scale_step(independent.summary.verdict) <= scale_step("weak")


def test_every_class_that_ran_has_its_row_in_order(laundered: Report) -> None:
    assert tuple(row.name for row in laundered.classes) == registry.CLASSES


def test_counting_findings_come_first_and_then_bits_decide(laundered: Report) -> None:
    order = [(bool(finding.explained_by), -finding.bits) for finding in laundered.findings]
    assert order == sorted(order)


def test_ids_are_different_and_rows_name_their_strongest(laundered: Report) -> None:
    ids = [finding.id for finding in laundered.findings]
    assert len(set(ids)) == len(ids) and all(ids)
    assert {row.strongest for row in laundered.classes} - {None} <= set(ids)


def test_every_line_of_code_that_a_finding_names_can_be_shown(laundered: Report) -> None:
    shown = {
        (piece.side, piece.path, piece.start_line + offset)
        for piece in laundered.excerpts
        for offset in range(len(piece.text.split("\n")))
    }
    for finding in laundered.findings:
        for side, spans in (("a", finding.a), ("b", finding.b)):
            for span in spans:
                if span.path.endswith(".py"):
                    assert {(side, span.path, line) for line in (span.start_line, span.end_line)} <= shown


def test_covered_lines_never_exceed_a_file(laundered: Report) -> None:
    assert laundered.files
    assert all(0 <= file.matched_lines <= file.lines for file in laundered.files)


def test_a_report_survives_json(laundered: Report) -> None:
    assert from_json(to_json(laundered)) == laundered


def test_the_same_input_gives_the_same_bytes_whatever_jobs_and_hash_seed(
    examples: Path, independent: Report
) -> None:
    program = (
        "import sys, detector; from detector.report.serial import to_json; "
        "sys.stdout.buffer.write(to_json(detector.compare(sys.argv[1], sys.argv[2], "
        "detector.Options(jobs=int(sys.argv[3])))).encode())"
    )
    for jobs, seed in (("1", "1"), ("2", "7")):
        done = subprocess.run(
            [sys.executable, "-c", program, str(examples / "original"), str(examples / "independent"), jobs],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode() == to_json(independent)


def test_an_upstream_sets_apart_what_both_sides_took_from_it(examples: Path, laundered: Report) -> None:
    options = detector.Options(upstream=(str(examples / "original"),), only=("code",))
    report = detector.compare(str(examples / "original"), str(examples / "laundered"), options)
    assert laundered.findings
    assert [finding for finding in report.findings if finding.explained_by]
    assert scale_step(report.summary.verdict) < scale_step(laundered.summary.verdict)


def test_open_snapshots_are_taken_as_they_are(examples: Path) -> None:
    a = open_snapshot(str(examples / "original"))
    report = detector.compare(a, str(examples / "laundered"), detector.Options(only=("identical",)))
    assert report.a.commit == a.commit


def test_the_options_that_differ_are_recorded_and_those_without_effect_are_not(examples: Path) -> None:
    options = detector.Options(
        only=("identical",), jobs=1, offline=True, limits=detector.Limits(file_bytes=1000)
    )
    report = detector.compare(str(examples / "original"), str(examples / "laundered"), options)
    assert report.tool.options == {"only": ["identical"], "limits": {"file_bytes": 1000}}


def test_both_sides_at_the_same_commit_is_said(examples: Path) -> None:
    source = str(examples / "original")
    report = detector.compare(source, source, detector.Options(only=("identical",)))
    assert any("same commit" in warning.message for warning in report.warnings)


def test_a_side_without_code_is_said(examples: Path, tmp_path: Path) -> None:
    moved = new_repository(tmp_path / "moved")
    moved.commit({"README.md": "The code has moved.\n"})
    report = detector.compare(str(moved.path), str(examples / "original"))
    assert [(n.side, n.message) for n in report.warnings if "no Python code" in n.message] == [
        ("a", "holds no Python code at this commit, so none was compared; @REV after it chooses another")
    ]


def test_a_class_that_breaks_costs_its_findings_and_a_warning_only(
    examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Evidence:
        raise RecursionError("too deep")

    monkeypatch.setattr(identical, "find", broken)
    options = detector.Options(only=("identical", "tokenizer"))
    report = detector.compare(str(examples / "original"), str(examples / "laundered"), options)
    assert any(warning.where == "identical" and "too deep" in warning.message for warning in report.warnings)
    assert any(finding.kind == "tokenizer" for finding in report.findings)
    assert report.summary.would_change[0].startswith("the evidence that is missing: Identical files")


def test_an_unknown_class_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(detector.UncribError, match="no evidence class 'colour'"):
        detector.compare("/nowhere", "/nowhere", detector.Options(only=("colour",)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"jobs": -1}, "jobs"),
        ({"answers": ("one.jsonl",)}, "answers"),
        ({"limits": detector.Limits(seconds=0)}, "seconds"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(detector.UncribError, match=said):
        detector.Options(**given)  # type: ignore[arg-type]


def test_two_repositories_that_share_standard_idioms_only_are_at_most_weak(tmp_path: Path) -> None:
    a = new_repository(tmp_path / "a")
    a.commit({"common.py": IDIOMS, "train.py": "def steps(n):\n    return [n * k for k in range(n)]\n"})
    b = new_repository(tmp_path / "b")
    b.commit({"tools/basics.py": IDIOMS.replace("value", "v").replace("module", "m").replace("seed", "s")})
    report = detector.compare(str(a.path), str(b.path))
    assert scale_step(report.summary.verdict) <= scale_step("weak")


IDIOMS = '''
import random

import numpy as np
import torch
from torch import nn


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def init_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.constant_(module.bias, 0)
    elif isinstance(module, nn.LayerNorm):
        nn.init.constant_(module.bias, 0)
        nn.init.constant_(module.weight, 1.0)


class AverageMeter:
    """Computes and stores the average and current value"""

    def __init__(self):
        self.reset()

    def reset(self):
        self.val = 0
        self.avg = 0
        self.sum = 0
        self.count = 0

    def update(self, value, n=1):
        self.val = value
        self.sum += value * n
        self.count += n
        self.avg = self.sum / self.count
'''


class TestClassesBesideTheCode:
    """The classes that need nothing of the others run in a process beside the code class."""

    def test_a_report_made_by_two_processes_equals_the_one_made_by_one(self, large: tuple[str, str]) -> None:
        alone, beside = (detector.compare(*large, detector.Options(jobs=jobs)) for jobs in (1, 2))
        assert to_json(beside) == to_json(alone)

    def test_a_process_that_dies_costs_its_findings_and_a_warning(
        self, large: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not child.possible():
            pytest.skip("no process is forked here")
        monkeypatch.setattr(leftovers, "find", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        report = detector.compare(*large, detector.Options(jobs=2, only=("code", "identical", "leftovers")))
        assert [warning.where for warning in report.warnings] == ["leftovers"]
        assert {finding.kind for finding in report.findings} >= {"identical"}

    def test_an_error_for_the_user_ends_the_run_as_it_does_in_one_process(
        self, large: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> Evidence:
            raise detector.UncribError("the answer is no")

        monkeypatch.setattr(identical, "find", refuse)
        with pytest.raises(detector.UncribError, match="the answer is no"):
            detector.compare(*large, detector.Options(jobs=2))

    def test_progress_of_the_other_process_is_told(
        self, large: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def telling(a: object, b: object, context: registry.Context) -> Evidence:
            context.progress("look", 3, 7)
            return Evidence()

        monkeypatch.setattr(identical, "find", telling)
        told: list[tuple[str, int, int]] = []
        detector.compare(*large, detector.Options(jobs=2), lambda *step: told.append(step))
        assert ("look", 3, 7) in told


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two repositories large enough for a second process: the idioms and a long table."""
    folder = tmp_path_factory.mktemp("large")
    table = "".join(f"row {number} of the measured table\n" for number in range(4_000))
    for name, code in (("a", IDIOMS), ("b", IDIOMS.replace("value", "v"))):
        files = {"common.py": code, "table.txt": table, "requirements.txt": f"torch\n# {name}\n"}
        new_repository(folder / name).commit(files)
    return str(folder / "a"), str(folder / "b")

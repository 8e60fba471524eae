"""Fingerprints are kept between runs, and nothing but time depends on it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from git_factory import Repository, new_repository

from detector.fingerprint import repository, store
from detector.fingerprint.fingerprint import Prints
from detector.fingerprint.repository import fingerprint_snapshots
from detector.fingerprint.workers import Job, fingerprinted
from detector.options import Options
from detector.snapshot import Snapshot, open_snapshot
from detector.snapshot.model import Limits

STANDARD = Path(json.__file__).parent.parent
CODE = {path.name: path.read_bytes() for path in sorted((STANDARD / "asyncio").glob("*.py"))}


@pytest.fixture
def code(tmp_path: Path) -> Repository:
    made = new_repository(tmp_path / "a")
    made.commit({**CODE, "broken.py": b"x = abs(-9.5)\ndef ("})
    return made


def opened(code: Repository) -> Snapshot:
    return open_snapshot(str(code.path))


def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that are fingerprinted from now on."""
    seen: list[str] = []

    def noted(work: list[Job], sides: int, limits: Limits, processes: int) -> list[Prints]:
        seen.extend(job.path for job in work)
        return fingerprinted(work, sides, limits, processes)

    monkeypatch.setattr(repository, "fingerprinted", noted)
    return seen


def files(folder: str = "fingerprints") -> Sequence[Path]:
    return sorted((Path(os.environ["UNCRIB_CACHE_DIR"]) / folder).iterdir())


def plain(prints: Prints) -> list[object]:
    return [
        prints.notices, prints.lines, prints.files,
        *((u.unit, u.names, u.calls, u.bases, u.skipped, u.terms.dtype, u.terms.tolist(), u.places.tolist(),
           u.statements.tolist(), u.nodes.tolist()) for u in prints.fingerprints),
    ]  # fmt: skip


def test_what_was_kept_is_what_was_computed(code: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = fingerprint_snapshots([opened(code)])
    again = computed(monkeypatch)
    (second,) = fingerprint_snapshots([opened(code)])
    assert plain(second) == plain(first)
    assert any("syntax errors" in notice.message for notice in second.notices)
    assert not again
    assert len(files()) == 1


def test_another_commit_or_limit_is_computed_for_itself(
    code: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint_snapshots([opened(code)])
    again = computed(monkeypatch)
    code.commit({"more.py": "y = abs(-7.5)\n"})
    fingerprint_snapshots([opened(code)])
    assert "more.py" in again
    again.clear()
    fingerprint_snapshots([open_snapshot(str(code.path), Options(limits=Limits(file_bytes=50_000)))])
    assert "broken.py" in again
    assert len(files()) == 3


def test_a_kept_side_and_a_new_one_stay_apart(
    code: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_repository(tmp_path / "b").commit({"b.py": "y = abs(-7.5)\n"})
    other = open_snapshot(str(tmp_path / "b"))
    alone = [plain(prints) for side in (opened(code), other) for prints in fingerprint_snapshots([side])]
    again = computed(monkeypatch)
    assert [plain(prints) for prints in fingerprint_snapshots([opened(code), other])] == alone
    assert again == ["b.py"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", None])
def test_what_was_damaged_is_computed_again(
    code: Repository, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = fingerprint_snapshots([opened(code)])
    (path,) = files()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    again = computed(monkeypatch)
    (second,) = fingerprint_snapshots([opened(code)])
    assert again
    assert plain(second) == plain(first)
    assert path.read_bytes() == whole


def test_a_file_that_was_given_up_is_tried_again(code: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    code.commit({"deep.py": b"x = " + b"[" * 3000 + b"]" * 3000})
    (prints,) = fingerprint_snapshots([opened(code)])
    assert any(notice.where == "deep.py" for notice in prints.notices)
    given_up = prints.files < len(CODE) + 2
    assert (not Path(os.environ["UNCRIB_CACHE_DIR"], "fingerprints").exists()) == given_up


def test_a_small_repository_leaves_nothing(tmp_path: Path) -> None:
    new_repository(tmp_path / "a").commit({"a.py": "y = abs(-7.5)\n"})
    fingerprint_snapshots([open_snapshot(str(tmp_path / "a"))])
    assert not Path(os.environ["UNCRIB_CACHE_DIR"], "fingerprints").exists()


def test_without_a_cache_folder_everything_works(
    code: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path / "file"))
    (prints,) = fingerprint_snapshots([opened(code)])
    assert prints.files == len(CODE) + 1


def test_what_was_not_used_for_longest_goes_first(code: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint_snapshots([opened(code)])
    (old,) = files()
    os.utime(old, (1, 1))
    monkeypatch.setattr(store, "MOST_BYTES", int(old.stat().st_size * 1.5))
    code.commit({"more.py": "y = abs(-7.5)\n"})
    fingerprint_snapshots([opened(code)])
    (kept,) = files()
    assert kept != old

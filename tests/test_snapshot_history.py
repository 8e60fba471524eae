"""The history behind a snapshot: each version of each file with the commit that made it."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_factory import Repository, new_repository

from detector.options import Options
from detector.snapshot import Limits, open_snapshot
from detector.snapshot.history import blobs_through_history, commits, files_at, read_blobs


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = new_repository(tmp_path / "work")
    made.commit({"a.py": "one\n", "b.json": "{}\n"}, at="2024-05-20T12:00:00+08:00", subject="first: work")
    made.commit(
        {"a.py": "two\n"}, at="2024-05-21T12:00:00Z", subject=":100644 a subject that looks like a change"
    )
    return made


def blob(repository: Repository, name: str) -> str:
    return repository.git("rev-parse", name)


def test_commits_come_newest_first(repository: Repository) -> None:
    newest, first = commits(open_snapshot(str(repository.path)))
    assert (newest.id, first.id) == (blob(repository, "HEAD"), blob(repository, "HEAD~1"))
    assert (first.at, first.author, first.subject) == ("2024-05-20T04:00:00Z", "Ada", "first: work")
    assert newest.subject == ":100644 a subject that looks like a change"
    assert (newest.parents, first.parents) == ((first.id,), ())


def test_every_version_is_listed_with_its_commit(repository: Repository) -> None:
    history = blobs_through_history(open_snapshot(str(repository.path)), [".py"])
    assert history.changes == (
        (blob(repository, "HEAD"), "a.py", blob(repository, "HEAD:a.py")),
        (blob(repository, "HEAD~1"), "a.py", blob(repository, "HEAD~1:a.py")),
    )
    assert history.complete
    assert [commit.id for commit in history.commits] == [change.commit for change in history.changes]


def test_a_rename_is_a_deletion_and_an_addition(repository: Repository) -> None:
    repository.git("mv", "a.py", "c.py")
    commit = repository.commit({})
    changes = blobs_through_history(open_snapshot(str(repository.path)), [".py"]).changes
    assert {change for change in changes if change.commit == commit} == {
        (commit, "a.py", ""),
        (commit, "c.py", blob(repository, "HEAD:c.py")),
    }


def test_a_side_branch_keeps_its_own_commits_and_a_merge_what_only_it_has(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit({"side.py": "side\n", "a.py": "side\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"a.py": "main\n"})
    repository.git("merge", "-q", "--no-commit", "-s", "ours", "side")
    merge = repository.commit({"a.py": "both\n", "side.py": "side\n"})
    changes = blobs_through_history(open_snapshot(str(repository.path)), [".py"]).changes
    assert (side, "side.py", blob(repository, "side:side.py")) in changes
    assert [change for change in changes if change.commit == merge] == [
        (merge, "a.py", blob(repository, "HEAD:a.py"))
    ]


def test_history_ends_at_the_snapshot(repository: Repository) -> None:
    first = blob(repository, "HEAD~1")
    snapshot = open_snapshot(f"{repository.path}@{first}")
    assert [commit.id for commit in commits(snapshot)] == [first]


def test_any_blob_is_read_by_its_id(repository: Repository) -> None:
    ids = [blob(repository, "HEAD~1:a.py"), blob(repository, "HEAD:a.py"), "0" * 40]
    snapshot = open_snapshot(str(repository.path))
    assert read_blobs(snapshot, ids) == {ids[0]: b"one\n", ids[1]: b"two\n"}
    tight = open_snapshot(str(repository.path), Options(limits=Limits(total_bytes=5)))
    assert read_blobs(tight, ids) == {ids[0]: b"one\n"}


def test_the_files_of_another_commit(repository: Repository) -> None:
    snapshot = open_snapshot(str(repository.path))
    files = files_at(snapshot, blob(repository, "HEAD~1"))
    assert [(file.path, file.blob) for file in files if file.path == "a.py"] == [
        ("a.py", blob(repository, "HEAD~1:a.py"))
    ]


def test_what_the_number_of_commits_cuts_off_is_named(repository: Repository) -> None:
    history = blobs_through_history(open_snapshot(str(repository.path)), [".py"], max_commits=1)
    assert len(history.commits) == len(history.changes) == 1
    assert (
        history.notices[0].message == "history before 2024-05-21T12:00:00Z was left out: limit of 1 commits"
    )
    assert not history.complete


def test_what_the_time_cuts_off_is_named(repository: Repository) -> None:
    history = blobs_through_history(open_snapshot(str(repository.path)), [".py"], seconds=1e-6)
    assert "left out: limit of 1e-06 seconds" in history.notices[0].message


def test_a_gap_in_the_history_is_named_and_the_rest_is_read(repository: Repository) -> None:
    repository.commit({"a.py": "three\n"}, at="2024-05-22T12:00:00Z")
    snapshot = open_snapshot(str(repository.path))
    repository.drop(blob(repository, "HEAD~2"))
    history = blobs_through_history(snapshot, [".py"])
    assert history.commits[0].id == snapshot.commit
    assert "was left out: git could not read" in history.notices[0].message


def test_a_shallow_clone_has_the_history_that_it_has(repository: Repository, tmp_path: Path) -> None:
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    assert len(commits(open_snapshot(str(tmp_path / "shallow")))) == 1


def test_a_work_tree_has_the_history_of_its_last_commit(repository: Repository) -> None:
    repository.write({"a.py": "changed\n"})
    assert len(commits(open_snapshot(str(repository.path), Options(dirty=True)))) == 2


def test_a_work_tree_without_commits_has_none(tmp_path: Path) -> None:
    new_repository(tmp_path / "fresh").write({"a.py": "1\n"})
    assert commits(open_snapshot(str(tmp_path / "fresh"), Options(dirty=True))) == []


def test_a_plain_folder_has_none(tmp_path: Path) -> None:
    snapshot = open_snapshot(str(tmp_path))
    assert commits(snapshot) == []
    assert blobs_through_history(snapshot, [".py"]).changes == ()
    assert read_blobs(snapshot, ["0" * 40]) == {}

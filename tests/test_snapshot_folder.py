"""Plain folders, and work trees as they are now, read as git would have seen them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_factory import Repository, new_repository

from detector.errors import UncribError
from detector.options import Options
from detector.snapshot import Limits, Snapshot, open_snapshot
from detector.snapshot.folder import FolderStore

DIRTY = Options(dirty=True)


def paths(snapshot: Snapshot) -> list[str]:
    return [file.path for file in snapshot.files]


def said(snapshot: Snapshot) -> str:
    return "; ".join(f"{notice.where}: {notice.message}" for notice in snapshot.notices)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "pkg").mkdir(parents=True)
    (made / "pkg" / "a.py").write_bytes(b"x = 1\r\n")
    (made / "config.json").write_text("{}\n")
    (made / "empty").write_text("")
    return made


def test_a_plain_folder_has_files_but_no_commit(folder: Path) -> None:
    snapshot = open_snapshot(str(folder))
    assert paths(snapshot) == ["config.json", "empty", "pkg/a.py"]
    assert snapshot.read(paths(snapshot)) == {"config.json": b"{}\n", "empty": b"", "pkg/a.py": b"x = 1\r\n"}
    assert (snapshot.commit, snapshot.committed_at, snapshot.git_dir) == (None, None, None)
    assert (snapshot.label, snapshot.notices) == ("model", ())


def test_blob_ids_are_those_that_git_would_give(folder: Path, tmp_path: Path) -> None:
    git = new_repository(tmp_path / "any")
    for file in open_snapshot(str(folder)).files:
        assert file.blob == git.git("hash-object", "--no-filters", str(folder / file.path))


def test_version_control_folders_are_skipped(folder: Path) -> None:
    for name in (".hg", ".svn", "pkg/.git"):
        (folder / name).mkdir()
        (folder / name / "x.py").write_text("1")
    assert paths(open_snapshot(str(folder))) == ["config.json", "empty", "pkg/a.py"]


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("secret")
    (folder / "secret.py").symlink_to(tmp_path / "secret.py")
    (folder / "above").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder)
    snapshot = open_snapshot(str(folder))
    assert paths(snapshot) == ["config.json", "empty", "pkg/a.py"]
    assert "symbolic links are not followed: " in said(snapshot)


def test_a_model_in_the_hub_cache_consists_of_links_and_is_read(tmp_path: Path) -> None:
    model = tmp_path / "models--org--name"
    (model / "blobs").mkdir(parents=True)
    (model / "blobs" / "abc").write_text("{}")
    snapshot_folder = model / "snapshots" / "0123"
    snapshot_folder.mkdir(parents=True)
    (snapshot_folder / "config.json").symlink_to("../../blobs/abc")
    (snapshot_folder / "passwd").symlink_to("/etc/passwd")
    snapshot = open_snapshot(str(snapshot_folder))
    assert snapshot.read(["config.json", "passwd"]) == {"config.json": b"{}"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")
    assert "pipe.py" not in paths(open_snapshot(str(folder)))


def test_a_file_that_changed_since_is_absent(folder: Path) -> None:
    snapshot = open_snapshot(str(folder))
    (folder / "config.json").write_text("{'grown': true}")
    (folder / "empty").unlink()
    assert snapshot.read(paths(snapshot)) == {"pkg/a.py": b"x = 1\r\n"}


def test_a_large_file_is_opened_in_parts(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"1" * 1000)
    snapshot = open_snapshot(str(folder), Options(limits=Limits(total_bytes=100)))
    [file] = [file for file in snapshot.files if file.path == "model.safetensors"]
    assert snapshot.read([file.path]) == {}
    assert isinstance(snapshot.store, FolderStore)
    stream = snapshot.store.open(file)
    assert stream is not None
    with stream:
        assert stream.read(3) == b"111"


def test_unread_files_are_equal_to_nothing_else(folder: Path, tmp_path: Path) -> None:
    for place in (folder, tmp_path / "other"):
        place.mkdir(exist_ok=True)
        (place / "model.bin").write_bytes(b"1" * 1000)
    options = Options(limits=Limits(total_bytes=100))
    one, other = (open_snapshot(str(place), options) for place in (folder, tmp_path / "other"))
    ids = [file.blob for snapshot in (one, other) for file in snapshot.files if file.path == "model.bin"]
    assert len(set(ids)) == 2
    assert "no blob id" in said(one)
    assert "total_bytes=100" in said(one)


def test_the_number_of_files_is_limited(folder: Path) -> None:
    snapshot = open_snapshot(str(folder), Options(limits=Limits(files=2)))
    assert len(snapshot.files) == 2
    assert "limit files=2" in said(snapshot)


def test_a_plain_folder_has_no_revisions(folder: Path) -> None:
    with pytest.raises(UncribError, match="is not a git repository, so it has no revision main"):
        open_snapshot(f"{folder}@main")


class TestWorkTree:
    """`--dirty` reads what is there now; what git ignores stays out."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Repository:
        made = new_repository(tmp_path / "work")
        made.commit({"a.py": "old\n", "gone.py": "1\n", ".gitignore": "ignored.py\n"})
        made.write({"a.py": "new\n", "untracked.py": "2\n", "ignored.py": "3\n"})
        (made.path / "gone.py").unlink()
        return made

    def test_the_files_are_read(self, repository: Repository) -> None:
        snapshot = open_snapshot(str(repository.path), DIRTY)
        assert snapshot.read(paths(snapshot)) == {
            ".gitignore": b"ignored.py\n", "a.py": b"new\n", "untracked.py": b"2\n"
        }  # fmt: skip
        assert (snapshot.commit, snapshot.label) == (None, "work (work tree)")
        assert "read as they are" in said(snapshot)

    def test_without_it_the_commit_is_read(self, repository: Repository) -> None:
        assert open_snapshot(str(repository.path)).read(["a.py"]) == {"a.py": b"old\n"}

    def test_a_named_revision_is_stronger(self, repository: Repository) -> None:
        assert open_snapshot(f"{repository.path}@main", DIRTY).read(["a.py"]) == {"a.py": b"old\n"}

    def test_a_repository_without_commits_can_be_read(self, tmp_path: Path) -> None:
        made = new_repository(tmp_path / "fresh")
        made.write({"a.py": "1\n"})
        assert paths(open_snapshot(str(made.path), DIRTY)) == ["a.py"]

    def test_a_bare_repository_has_no_files_but_those_of_its_commit(
        self, repository: Repository, tmp_path: Path
    ) -> None:
        bare = repository.bare(tmp_path / "bare.git")
        assert open_snapshot(str(bare), DIRTY).read(["a.py"]) == {"a.py": b"old\n"}

"""Local repositories are read in place, whatever their state, and nothing of theirs is ever run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from git_factory import Repository, new_repository

from detector.errors import UncribError
from detector.options import Options
from detector.snapshot import Limits, Snapshot, git, open_snapshot

CODE = {"model.py": "def f():\n    return 1\n", "pkg/a.py": "x = 1\n", "config.json": "{}\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = new_repository(tmp_path / "work")
    made.commit(CODE)
    return made


def said(snapshot: Snapshot) -> str:
    return "; ".join(f"{notice.where}: {notice.message}" for notice in snapshot.notices)


def test_a_work_tree_is_read_at_its_last_commit(repository: Repository) -> None:
    repository.write({"model.py": "changed\n", "new.py": "new\n"})
    snapshot = open_snapshot(str(repository.path))
    assert [file.path for file in snapshot.files] == ["config.json", "model.py", "pkg/a.py"]
    assert snapshot.read(CODE) == {path: text.encode() for path, text in CODE.items()}
    assert snapshot.commit == repository.git("rev-parse", "HEAD")
    assert snapshot.committed_at == "2024-05-20T12:00:00Z"
    assert (snapshot.label, snapshot.notices, snapshot.web) == ("work", (), None)


def test_blob_ids_and_sizes_are_those_of_git(repository: Repository) -> None:
    for file in open_snapshot(str(repository.path)).files:
        assert file.blob == repository.git("rev-parse", f"HEAD:{file.path}")
        assert file.size == len(CODE[file.path])


def test_a_bare_repository_and_its_work_tree_are_the_same(repository: Repository, tmp_path: Path) -> None:
    bare = open_snapshot(str(repository.bare(tmp_path / "bare.git")))
    assert bare.files == open_snapshot(str(repository.path)).files
    assert bare.label == "bare"


def test_a_linked_work_tree_is_read_at_its_own_commit(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    commit = Repository(tmp_path / "side").commit({"side.py": "1\n"})
    snapshot = open_snapshot(str(tmp_path / "side"))
    assert snapshot.commit == commit
    assert snapshot.read(["side.py"]) == {"side.py": b"1\n"}


def test_a_shallow_clone_is_read(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({"model.py": "second\n"})
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    assert open_snapshot(str(tmp_path / "shallow")).commit == commit


def test_reading_changes_nothing_in_the_repository(repository: Repository) -> None:
    def state() -> list[tuple[str, int]]:
        paths = sorted(repository.path.rglob("*"))
        return [(str(path), path.stat().st_mtime_ns) for path in paths]

    before = state()
    snapshot = open_snapshot(str(repository.path))
    snapshot.read(file.path for file in snapshot.files)
    assert state() == before


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere"
)
def test_a_read_only_repository_is_read(repository: Repository) -> None:
    for path in repository.path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert len(open_snapshot(str(repository.path)).files) == 3


class TestRevisions:
    """A branch, a tag, a commit, or a date."""

    @pytest.fixture
    def commits(self, repository: Repository) -> list[str]:
        repository.commit({"model.py": "two\n"}, at="2024-05-26T23:59:59Z")
        repository.git("tag", "-a", "v1", "-m", "release")
        repository.commit({"model.py": "three\n"}, at="2024-05-27T23:30:00Z")
        repository.git("branch", "feature/x", "HEAD~1")
        repository.commit({"model.py": "four\n"}, at="2024-05-28T00:30:00+02:00")
        return repository.git("rev-list", "--reverse", "HEAD").splitlines()

    @pytest.mark.parametrize(
        ("revision", "which"),
        [
            ("main", 3),
            ("v1", 1),
            ("feature/x", 1),
            ("HEAD~1", 2),
            ("2024-05-26", 1),
            ("2024-05-27", 3),  # half past midnight at +02:00 is still the 27th in UTC
            ("2024-05-27T23:45", 3),
            ("2024-05-27T22:00:00Z", 1),
            ("2024-05-27T21:00:00+02:00", 1),
            ("2030-01-01", 3),
        ],
    )
    def test_a_revision_is_found(
        self, repository: Repository, commits: list[str], revision: str, which: int
    ) -> None:
        assert open_snapshot(f"{repository.path}@{revision}").commit == commits[which]

    def test_a_commit_is_found_by_its_full_or_short_id(
        self, repository: Repository, commits: list[str]
    ) -> None:
        for commit in commits:
            assert open_snapshot(f"{repository.path}@{commit}").commit == commit
            assert open_snapshot(f"{repository.path}@{commit[:10]}").commit == commit

    def test_a_tag_that_looks_like_a_date_is_the_tag(
        self, repository: Repository, commits: list[str]
    ) -> None:
        repository.git("tag", "2024-05-27", commits[0])
        assert open_snapshot(f"{repository.path}@2024-05-27").commit == commits[0]

    @pytest.mark.parametrize(
        ("revision", "expected"),
        [
            ("no-such-branch", "has no such revision"),
            ("0123456789012345678901234567890123456789", "has no such revision"),
            ("main:model.py", "has no such revision"),
            ("2001-01-01", "has no commit before the end of 2001-01-01"),
            ("2024-13-45", "no date of the calendar"),
        ],
    )
    def test_a_wrong_revision_gets_one_clear_line(
        self, repository: Repository, commits: list[str], revision: str, expected: str
    ) -> None:
        with pytest.raises(UncribError, match=expected) as error:
            open_snapshot(f"{repository.path}@{revision}")
        assert "\n" not in str(error.value)


class TestWrongSources:
    """Each gets its own sentence."""

    def test_a_repository_without_commits(self, tmp_path: Path) -> None:
        new_repository(tmp_path / "empty")
        with pytest.raises(UncribError, match=r"has no commits.*--dirty"):
            open_snapshot(str(tmp_path / "empty"))

    def test_a_file(self, repository: Repository) -> None:
        with pytest.raises(UncribError, match=r"model\.py is a file; give the folder"):
            open_snapshot(str(repository.path / "model.py"))

    def test_a_broken_git_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x" / ".git").mkdir(parents=True)
        with pytest.raises(UncribError, match="is not a git repository"):
            open_snapshot(str(tmp_path / "x"))

    def test_a_git_file_that_leads_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / ".git").write_text("gitdir: /no/such/place\n")
        with pytest.raises(UncribError, match="is not a git repository"):
            open_snapshot(str(tmp_path))

    def test_a_format_of_the_future(self, repository: Repository) -> None:
        repository.git("config", "core.repositoryFormatVersion", "99")
        with pytest.raises(UncribError, match="git is too old"):
            open_snapshot(str(repository.path))

    def test_git_is_missing(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        git._program.cache_clear()
        monkeypatch.setenv("PATH", "")
        with pytest.raises(UncribError, match="git was not found; install"):
            open_snapshot(str(repository.path))
        git._program.cache_clear()

    def test_the_time_is_up(self, repository: Repository) -> None:
        options = Options(limits=Limits(seconds=1e-6))
        with pytest.raises(UncribError, match="longer than the limit seconds=1e-06"):
            open_snapshot(str(repository.path), options)


class TestMissingObjects:
    """A missing blob is a warning; its id still counts."""

    def test_a_missing_blob_keeps_its_id(self, repository: Repository) -> None:
        blob = repository.git("rev-parse", "HEAD:config.json")
        repository.drop(blob)
        snapshot = open_snapshot(str(repository.path))
        assert [(file.blob, file.size) for file in snapshot.files if file.path == "config.json"] == [
            (blob, None)
        ]
        assert "config.json: not at hand" in said(snapshot)
        assert set(snapshot.read(CODE)) == {"model.py", "pkg/a.py"}

    def test_a_missing_tree_is_one_clear_line(self, repository: Repository) -> None:
        repository.drop(repository.git("rev-parse", "HEAD:pkg"))
        with pytest.raises(UncribError, match="check that the repository is complete"):
            open_snapshot(str(repository.path))

    def test_a_partial_clone_does_not_fetch_while_reading(
        self, repository: Repository, tmp_path: Path
    ) -> None:
        bare = repository.bare(tmp_path / "served.git", uploadpack_allowFilter="true")
        repository.git(
            "clone", "-q", "--bare", "--filter=blob:none", f"file://{bare}", str(tmp_path / "partial.git")
        )
        snapshot = open_snapshot(str(tmp_path / "partial.git"))
        assert [file.size for file in snapshot.files] == [None, None, None]
        assert snapshot.read(CODE) == {}

    def test_a_damaged_blob_is_absent_and_the_others_are_read(self, repository: Repository) -> None:
        blob = repository.git("rev-parse", "HEAD:model.py")
        place = repository.path / ".git" / "objects" / blob[:2] / blob[2:]
        place.chmod(0o644)
        place.write_bytes(b"this is no zlib stream")
        snapshot = open_snapshot(str(repository.path))
        assert set(snapshot.read(CODE)) == {"config.json", "pkg/a.py"}


class TestHostileRepositories:
    """Repositories are input, never instructions."""

    def test_no_program_named_by_the_configuration_runs(self, repository: Repository, tmp_path: Path) -> None:
        trace = tmp_path / "ran"
        script = tmp_path / "script"
        script.write_text(f"#!/bin/sh\ntouch {trace}\n")
        script.chmod(0o755)
        for name in (
            "core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "gpg.program", "diff.external",
            "filter.x.smudge", "filter.x.clean", "diff.x.textconv", "alias.ls-tree", "alias.cat-file",
            "uploadpack.packObjectsHook", "credential.helper", "core.alternateRefsCommand",
        ):  # fmt: skip
            repository.git("config", name, str(script))
        repository.git("config", "log.showSignature", "true")
        repository.write({".gitattributes": "* filter=x diff=x\n"})
        for hook in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
            place = repository.path / ".git" / "hooks" / hook
            place.parent.mkdir(exist_ok=True)
            place.write_text(script.read_text())
            place.chmod(0o755)
        for options in (Options(), Options(dirty=True)):
            snapshot = open_snapshot(str(repository.path), options)
            assert snapshot.read(["model.py"]) == {"model.py": b"def f():\n    return 1\n"}
        assert not trace.exists()

    def test_a_promisor_remote_is_never_asked(self, repository: Repository, tmp_path: Path) -> None:
        trace = tmp_path / "ran"
        repository.git("config", "remote.origin.url", f"ext::sh -c touch% {trace}")
        repository.git("config", "remote.origin.promisor", "true")
        repository.git("config", "protocol.ext.allow", "always")
        repository.git("config", "extensions.partialClone", "origin")
        repository.git("config", "core.repositoryFormatVersion", "1")
        repository.drop(repository.git("rev-parse", "HEAD:model.py"))
        snapshot = open_snapshot(str(repository.path))
        assert "model.py" not in snapshot.read(CODE)
        with pytest.raises(UncribError, match="no such revision"):
            open_snapshot(f"{repository.path}@{'0' * 39}1")
        assert not trace.exists()

    def test_names_of_any_bytes_are_shown_as_text(self, repository: Repository) -> None:
        blob = repository.git("hash-object", "-w", "--stdin", given=b"x = 1\n")
        names = [b"a\nb.py", b"\xff\xfe.py", b"--help.py", b"<script>.py", b"tab\t.py", "\u202e.py".encode()]
        tree = b"".join(b"100644 blob %s\t%s\0" % (blob.encode(), name) for name in names)
        commit = repository.git("commit-tree", "-m", "x", repository.git("mktree", "-z", given=tree))
        snapshot = open_snapshot(f"{repository.path}@{commit}")
        expected = {"a\nb.py", "\\xff\\xfe.py", "--help.py", "<script>.py", "tab\t.py", "\u202e.py"}
        assert {file.path for file in snapshot.files} == expected
        assert set(snapshot.read(expected)) == expected
        for file in snapshot.files:
            file.path.encode("utf-8")

    def test_links_are_left_out_and_submodules_are_named(self, repository: Repository) -> None:
        commit = repository.git("rev-parse", "HEAD")
        link = repository.git("hash-object", "-w", "--stdin", given=b"/etc/passwd")
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/other")
        repository.git("update-index", "--add", "--cacheinfo", f"120000,{link},passwd.py")
        repository.git("commit", "-q", "-m", "x")
        snapshot = open_snapshot(str(repository.path))
        assert {file.path for file in snapshot.files} == set(CODE)
        assert "submodules are not followed: vendor/other" in said(snapshot)

    def test_a_tree_that_describes_more_than_any_disk_holds_is_cut(self, repository: Repository) -> None:
        tree = repository.git(
            "mktree", given=f"100644 blob {repository.git('rev-parse', 'HEAD:model.py')}\tf\n".encode()
        )
        for _ in range(12):  # ten to the twelfth files
            lines = "".join(f"040000 tree {tree}\td{number}\n" for number in range(10))
            tree = repository.git("mktree", given=lines.encode())
        commit = repository.git("commit-tree", "-m", "bomb", tree)
        snapshot = open_snapshot(f"{repository.path}@{commit}", Options(limits=Limits(files=1000)))
        assert len(snapshot.files) == 1000
        assert "only the first 1,000 entries were looked at: limit files=1,000" in said(snapshot)

    def test_a_commit_time_beyond_the_calendar_is_no_time(self, repository: Repository) -> None:
        body = repository.git("cat-file", "commit", "HEAD").replace("1716206400", "99999999999999")
        commit = repository.git(
            "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=body.encode()
        )
        assert open_snapshot(f"{repository.path}@{commit}").committed_at is None

    def test_git_variables_of_a_surrounding_hook_are_ignored(
        self, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = new_repository(tmp_path / "other")
        other.commit({"other.py": "1\n"})
        monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
        monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
        for options in (Options(), Options(dirty=True)):
            assert {file.path for file in open_snapshot(str(repository.path), options).files} == set(CODE)


class TestLimits:
    """Each is named where it bites."""

    def test_a_large_code_file_is_named_and_not_read(self, repository: Repository) -> None:
        repository.commit({"large.py": "x = 1\n" * 100})
        snapshot = open_snapshot(str(repository.path), Options(limits=Limits(file_bytes=100)))
        assert "not read: large.py, larger than the limit file_bytes=100" in said(snapshot)
        assert set(snapshot.read(file.path for file in snapshot.files)) == set(CODE)

    def test_a_data_file_may_be_larger_than_a_code_file(self, repository: Repository) -> None:
        repository.commit({"tokenizer.json": "1" * 1600, "vocab.json": "1" * 1601})
        snapshot = open_snapshot(str(repository.path), Options(limits=Limits(file_bytes=100)))
        assert "not read: vocab.json, larger than 16 times the limit file_bytes=100" in said(snapshot)
        assert set(snapshot.read(["tokenizer.json", "vocab.json"])) == {"tokenizer.json"}

    def test_code_comes_before_data_when_there_is_too_much(self, repository: Repository) -> None:
        repository.commit({"a.json": "1" * 50, "z.py": "2" * 50})
        snapshot = open_snapshot(str(repository.path), Options(limits=Limits(total_bytes=90)))
        assert "not read: a.json, beyond the limit total_bytes=90" in said(snapshot)
        assert "z.py" in snapshot.read(["a.json", "z.py"])
        assert "a.json" not in snapshot.read(["a.json", "z.py"])


def test_permanent_links_come_from_the_remote(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "git@github.com:o/n.git")
    template = open_snapshot(str(repository.path)).web
    assert template == "https://github.com/o/n/blob/{commit}/{path}#L{start}-L{end}"


def test_a_sha256_repository_is_read(tmp_path: Path) -> None:
    try:
        repository = new_repository(tmp_path / "work", "--object-format=sha256")
    except subprocess.CalledProcessError:
        pytest.skip("this git knows no SHA-256 repositories")
    commit = repository.commit(CODE)
    snapshot = open_snapshot(str(repository.path))
    assert snapshot.commit == commit
    assert {len(file.blob) for file in snapshot.files} == {64}
    assert len(snapshot.read(CODE)) == 3


def test_opening_takes_four_git_processes_however_many_files(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({f"pkg/m{number}.py": f"x = {number}\n" for number in range(300)})
    started: list[object] = []
    start = subprocess.Popen

    def counted(arguments: object, **settings: object) -> object:
        started.append(arguments)
        return start(arguments, **settings)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", counted)
    snapshot = open_snapshot(str(repository.path))
    assert len(started) == 4
    assert len(snapshot.read(file.path for file in snapshot.files)) == 303
    assert len(started) == 5


def test_a_snapshot_is_plain_data_that_other_processes_can_read(repository: Repository) -> None:
    snapshot = pickle.loads(pickle.dumps(open_snapshot(str(repository.path))))
    assert replace(snapshot, source="x").read(["model.py"])


def test_importing_the_room_is_light() -> None:
    heavy = ["subprocess", "platformdirs", "filelock", "unearth", "tempfile"]
    code = f"import sys, detector.snapshot; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

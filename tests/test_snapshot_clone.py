"""Repositories elsewhere: a partial clone in the cache, its text in one request, nothing else."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from git_factory import Repository, new_repository

from detector.errors import UncribError
from detector.options import Options
from detector.snapshot import Limits, git, open_snapshot
from detector.snapshot.deadline import Deadline
from detector.snapshot.history import blobs_through_history, commits, files_at, read_blobs

FILES: dict[str, str | bytes] = {
    "model.py": "def f():\n    return 1\n",
    "config.json": "{}\n",
    "LICENSE": "Apache\n",
    "demo.png": bytes(range(256)) * 4000,
    "model.safetensors": b"\0" * 100_000,
}
OFFLINE = Options(offline=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clones"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = new_repository(tmp_path / "work")
    made.commit(FILES)
    return made


@pytest.fixture
def served(repository: Repository, tmp_path: Path) -> Path:
    return repository.bare(tmp_path / "org" / "name.git", uploadpack_allowFilter="true")


def blobs_in(cache: Path) -> int:
    [clone] = cache.glob("*.git")
    listed = subprocess.run(
        ["git", "-C", str(clone), "cat-file", "--batch-check", "--batch-all-objects"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return listed.count(" blob ")


def test_only_text_is_fetched(served: Path, repository: Repository, cache: Path) -> None:
    snapshot = open_snapshot(f"file://{served}")
    assert snapshot.read(FILES) == {
        path: text.encode() for path, text in FILES.items() if isinstance(text, str)
    }
    assert {file.path: file.blob for file in snapshot.files} == {
        path: repository.git("rev-parse", f"HEAD:{path}") for path in FILES
    }
    assert blobs_in(cache) == 3
    assert (snapshot.commit, snapshot.notices) == (repository.git("rev-parse", "HEAD"), ())


def test_a_server_without_filters_works_as_well(repository: Repository, tmp_path: Path, cache: Path) -> None:
    plain = repository.bare(tmp_path / "plain.git", uploadpack_allowFilter="false")
    snapshot = open_snapshot(f"file://{plain}")
    assert set(snapshot.read(FILES)) == set(FILES)
    assert blobs_in(cache) == len(FILES)


def test_a_git_server_on_the_network(served: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"]
    daemon = subprocess.Popen(
        [*arguments, f"--base-path={served.parent}", str(served.parent)], start_new_session=True
    )
    try:
        _wait_for(port)
        snapshot = open_snapshot(f"git://127.0.0.1:{port}/name.git@main")
        assert set(snapshot.read(FILES)) == {"model.py", "config.json", "LICENSE"}
        with pytest.raises(UncribError, match="is not a git repository that can be read"):
            open_snapshot(f"git://127.0.0.1:{port}/other.git")
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait()


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_web_server_of_git(served: Path, repository: Repository, cache: Path, version: str) -> None:
    repository.git("-C", str(served), "config", "uploadpack.allowAnySHA1InWant", "true")
    with _answering(partial(_Backend, served.parent, version)) as url:
        snapshot = open_snapshot(f"{url}/name.git@2024-05-27")
        assert set(snapshot.read(FILES)) == {"model.py", "config.json", "LICENSE"}
        assert blobs_in(cache) == 3


def test_a_web_server_of_plain_files(served: Path, repository: Repository) -> None:
    repository.git("-C", str(served), "update-server-info")
    with _answering(partial(_Files, directory=str(served.parent))) as url:
        snapshot = open_snapshot(f"{url}/name.git", Options(limits=Limits(seconds=30)))
        assert set(snapshot.read(FILES)) == set(FILES)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not start")


class TestIncompleteServers:
    """A repository that lacks objects of its own still gives what it has."""

    @pytest.fixture
    def incomplete(self, repository: Repository) -> Repository:
        repository.drop(repository.git("rev-parse", "HEAD:config.json"))
        return repository

    def test_a_missing_blob_is_named_and_the_others_come(self, incomplete: Repository) -> None:
        incomplete.git("config", "uploadpack.allowFilter", "true")
        snapshot = open_snapshot(f"file://{incomplete.path}")
        assert set(snapshot.read(FILES)) == {"model.py", "LICENSE"}
        [notice] = snapshot.notices
        assert (notice.where, notice.message.split(":")[0]) == ("config.json", "not sent by the server")

    def test_without_filters_it_cannot_be_fetched(self, incomplete: Repository) -> None:
        with pytest.raises(UncribError, match="lacks objects of its own and cannot be fetched"):
            open_snapshot(f"file://{incomplete.path}")


class TestRefresh:
    """A clone is brought up to date on use, and left alone offline."""

    def test_new_commits_are_seen(self, served: Path, repository: Repository) -> None:
        first = open_snapshot(f"file://{served}")
        commit = repository.commit({"model.py": "new\n"})
        repository.git("push", "-q", str(served), "main")
        assert open_snapshot(f"file://{served}", OFFLINE).commit == first.commit
        second = open_snapshot(f"file://{served}")
        assert second.commit == commit
        assert second.read(["model.py"]) == {"model.py": b"new\n"}

    def test_a_rewritten_and_renamed_branch_is_followed(self, served: Path, repository: Repository) -> None:
        open_snapshot(f"file://{served}")
        repository.git("checkout", "-q", "--orphan", "trunk")
        commit = repository.commit({"model.py": "rewritten\n"})
        repository.git("push", "-q", str(served), "trunk")
        repository.git("-C", str(served), "symbolic-ref", "HEAD", "refs/heads/trunk")
        repository.git("-C", str(served), "branch", "-D", "main")
        assert open_snapshot(f"file://{served}").commit == commit
        with pytest.raises(UncribError, match="no such revision"):
            open_snapshot(f"file://{served}@main")

    def test_a_commit_that_is_at_hand_needs_no_network(self, served: Path) -> None:
        commit = open_snapshot(f"file://{served}").commit
        hidden = served.rename(served.with_name("hidden.git"))
        served.mkdir()
        assert open_snapshot(f"file://{served}@{commit}").commit == commit
        with pytest.raises(UncribError, match="is not a git repository"):
            open_snapshot(f"file://{served}")
        assert open_snapshot(f"file://{served}", OFFLINE).commit == commit
        served.rmdir()
        hidden.rename(served)

    def test_offline_needs_a_clone(self, served: Path) -> None:
        with pytest.raises(UncribError, match="is not in the cache; run once without --offline"):
            open_snapshot(f"file://{served}", OFFLINE)

    def test_offline_names_what_was_never_fetched(self, served: Path, repository: Repository) -> None:
        first = repository.git("rev-parse", "HEAD")
        repository.commit({"model.py": "new\n"})
        repository.git("push", "-q", str(served), "main")
        open_snapshot(f"file://{served}")
        snapshot = open_snapshot(f"file://{served}@{first}", OFFLINE)
        [notice] = snapshot.notices
        assert (notice.where, notice.message.split(":")[0]) == ("model.py", "not in the cache (--offline)")

    def test_two_at_once_do_not_clash(self, served: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            snapshots = list(pool.map(open_snapshot, [f"file://{served}"] * 4))
        assert len({snapshot.commit for snapshot in snapshots}) == 1
        assert all(set(snapshot.read(["model.py"])) == {"model.py"} for snapshot in snapshots)


class TestRevisions:
    """Also those that no branch or tag holds."""

    def test_a_date_a_tag_and_a_short_id(self, served: Path, repository: Repository) -> None:
        first = repository.git("rev-parse", "HEAD")
        repository.git("tag", "v1")
        repository.commit({"model.py": "new\n"}, at="2024-06-01T00:00:00Z")
        repository.git("push", "-q", str(served), "main", "v1")
        for revision in ("2024-05-27", "v1", first[:12]):
            snapshot = open_snapshot(f"file://{served}@{revision}")
            assert snapshot.commit == first
            assert snapshot.read(["model.py"]) == {"model.py": b"def f():\n    return 1\n"}

    def test_a_commit_or_ref_of_a_pull_request(self, served: Path, repository: Repository) -> None:
        open_snapshot(f"file://{served}")
        commit = repository.commit({"model.py": "proposed\n"})
        repository.git("push", "-q", str(served), "HEAD:refs/pull/1/head")
        for revision in (commit, "refs/pull/1/head"):
            snapshot = open_snapshot(f"file://{served}@{revision}")
            assert snapshot.read(["model.py"]) == {"model.py": b"proposed\n"}

    @pytest.mark.parametrize("revision", ["nothing", "refs/pull/9/head", "0" * 39 + "1"])
    def test_a_wrong_one_gets_one_clear_line(self, served: Path, revision: str) -> None:
        with pytest.raises(UncribError, match="has no such revision; give a branch"):
            open_snapshot(f"file://{served}@{revision}")


class TestWrongSources:
    """Each gets its own sentence, and leaves nothing behind."""

    def test_an_empty_repository(self, tmp_path: Path) -> None:
        new_repository(tmp_path / "empty")
        with pytest.raises(UncribError, match="has no commits"):
            open_snapshot(f"file://{tmp_path}/empty")

    def test_a_folder_that_is_no_repository(self, tmp_path: Path, cache: Path) -> None:
        with pytest.raises(UncribError, match="is not a git repository"):
            open_snapshot(f"file://{tmp_path}")
        assert not [path for path in cache.iterdir() if path.suffix != ".lock"]

    def test_a_host_that_does_not_exist(self) -> None:
        with pytest.raises(UncribError, match="could not be found; check the address and the network"):
            open_snapshot("https://no-such-host.invalid/o/n")

    def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            for url in (f"http://127.0.0.1:{port}/o/n", f"git://127.0.0.1:{port}/o/n"):
                with pytest.raises(UncribError, match="could not be reached; check the network"):
                    open_snapshot(url)

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (401, "does not exist or needs a login"),
            (403, "does not exist or needs a login"),
            (404, "is not a git repository that can be read"),
            (500, "could not be reached"),
            (200, "is not a git repository; check the address"),
        ],
    )
    def test_what_a_web_server_answers(self, status: int, expected: str) -> None:
        with _answering(partial(_Answer, status)) as url, pytest.raises(UncribError, match=expected) as error:
            open_snapshot(f"{url}/org/name")
        assert "\n" not in str(error.value)

    def test_a_server_that_never_answers(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"git://127.0.0.1:{silent.getsockname()[1]}/o/n"
            begun = time.monotonic()
            with pytest.raises(UncribError, match="longer than the limit seconds=1"):
                open_snapshot(url, Options(limits=Limits(seconds=1)))
            assert time.monotonic() - begun < 10

    def test_more_than_the_limit(self, repository: Repository, tmp_path: Path, cache: Path) -> None:
        repository.commit({"noise.bin": random.Random(0).randbytes(100_000)})
        plain = repository.bare(tmp_path / "plain.git", uploadpack_allowFilter="false")
        with pytest.raises(UncribError, match="sent more than 4,000 bytes, which total_bytes allows"):
            open_snapshot(f"file://{plain}", Options(limits=Limits(total_bytes=1000)))
        assert not list(cache.glob("*.git"))

    def test_a_transfer_that_grows_too_much_is_ended(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            arguments = ["ls-remote", f"git://127.0.0.1:{silent.getsockname()[1]}/o/n"]
            with pytest.raises(UncribError, match="enough"):
                git.run(
                    arguments, "x", Deadline.after(60), git.fetching(), watch=lambda: UncribError("enough")
                )

    def test_a_cache_that_cannot_be_written(
        self, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path / "file"))
        with pytest.raises(UncribError, match="set UNCRIB_CACHE_DIR to another"):
            open_snapshot(f"file://{served}")


@contextmanager
def _answering(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """A web server on this machine, for as long as the context lasts; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class _Answer(BaseHTTPRequestHandler):
    """The same status and page for every request."""

    def __init__(self, status: int, *arguments: Any) -> None:
        self.status = status
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_: object) -> None:
        pass


class _Backend(BaseHTTPRequestHandler):
    """git's own `http-backend`, which real hosts speak the same protocol as."""

    def __init__(self, root: Path, version: str, *arguments: Any) -> None:
        self.root = root
        self.version = version
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if self.version == "2" else "",
        }
        backend = ["git", "http-backend"]
        done = subprocess.run(backend, input=body, capture_output=True, check=True, env=environment)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_a_hook_of_a_template_or_of_the_clone_never_runs(
    served: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "ran"
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("reference-transaction", "post-checkout", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {trace}\n")
        (hooks / name).chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    open_snapshot(f"file://{served}")
    [clone] = cache.glob("*.git")
    (clone / "hooks").symlink_to(hooks)
    open_snapshot(f"file://{served}")
    assert not trace.exists()


def test_what_an_interrupted_clone_left_is_swept_away(served: Path, cache: Path) -> None:
    open_snapshot(f"file://{served}")
    [clone] = cache.glob("*.git")
    clone.rename(clone.with_suffix(".partial"))
    assert open_snapshot(f"file://{served}").commit
    assert [path.suffix for path in sorted(cache.iterdir())] == [".git", ".lock"]


def test_a_sha256_repository_is_cloned(tmp_path: Path) -> None:
    try:
        repository = new_repository(tmp_path / "work", "--object-format=sha256")
    except subprocess.CalledProcessError:
        pytest.skip("this git knows no SHA-256 repositories")
    commit = repository.commit(FILES)
    repository.git("config", "uploadpack.allowFilter", "true")
    snapshot = open_snapshot(f"file://{repository.path}")
    assert snapshot.commit == commit
    assert set(snapshot.read(FILES)) == {"model.py", "config.json", "LICENSE"}


def test_blobs_of_the_past_come_in_one_request(served: Path, repository: Repository, cache: Path) -> None:
    for number in range(5):
        repository.commit({"model.py": f"x = {number}\n"})
    repository.git("push", "-q", str(served), "main")
    snapshot = open_snapshot(f"file://{served}")
    assert len(commits(snapshot)) == 6
    before = len(list((next(cache.glob("*.git")) / "objects" / "pack").glob("*.pack")))
    changes = blobs_through_history(snapshot, [".py"]).changes
    assert len(read_blobs(snapshot, [change.blob for change in changes])) == 6
    after = len(list((next(cache.glob("*.git")) / "objects" / "pack").glob("*.pack")))
    assert after - before == 1
    assert {file.path for file in files_at(snapshot, changes[-1].commit)} == set(FILES)


def test_progress_is_told(served: Path) -> None:
    told: list[tuple[str, int, int]] = []
    open_snapshot(f"file://{served}", Options(), lambda *step: told.append(step))
    assert [(done, total) for _, done, total in told] == [(0, 2), (1, 2), (2, 2)]
    assert {phase for phase, _, _ in told} == {"fetch name"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"


def test_the_users_own_git_configuration_is_honoured(served: Path, home: Path) -> None:
    (home / ".gitconfig").write_text(
        f'[url "file://{served.parent.parent}/"]\n\tinsteadOf = https://example.org/\n'
    )
    assert open_snapshot("https://example.org/org/name.git").label == "org/name"

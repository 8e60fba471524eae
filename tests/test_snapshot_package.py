"""Packages come from the user's index and are read as archives, never built, installed or unpacked."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from detector.errors import UncribError
from detector.options import Options
from detector.snapshot import Limits, Snapshot, open_snapshot

OFFLINE = Options(offline=True)


class Index:
    """A package index of files, served over HTTP on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "simple").mkdir(parents=True)

    def add(self, filename: str, data: bytes, digest: str | None = None) -> None:
        """Offer a file; `digest` is the SHA-256 that the index tells."""
        project = self.root / "simple" / filename.partition("-")[0]
        project.mkdir(exist_ok=True)
        (project / filename).write_bytes(data)
        page = project / "index.html"
        digest = digest or hashlib.sha256(data).hexdigest()
        link = f'<a href="{filename}#sha256={digest}">{filename}</a>\n'
        page.write_text((page.read_text() if page.exists() else "<!DOCTYPE html>\n") + link)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(made.root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_address[1]}/simple/")
    monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield made
    server.shutdown()
    server.server_close()


def wheel(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def sdist(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, kind: str = "gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def contents(snapshot: Snapshot) -> dict[str, bytes]:
    return snapshot.read(file.path for file in snapshot.files)


def said(snapshot: Snapshot) -> str:
    return "; ".join(f"{notice.where}: {notice.message}" for notice in snapshot.notices)


def test_a_wheel_is_read(index: Index) -> None:
    files = {"demo/__init__.py": b"x = 1\n", "demo-1.0.dist-info/METADATA": b"Name: demo\n"}
    index.add("demo-1.0-py3-none-any.whl", wheel(files))
    snapshot = open_snapshot("pypi:demo==1.0")
    assert contents(snapshot) == files
    assert (snapshot.label, snapshot.commit, snapshot.git_dir) == ("demo 1.0", None, None)


def test_blob_ids_are_those_of_git(index: Index) -> None:
    index.add("demo-1.0-py3-none-any.whl", wheel({"hello": b"hello\n", "empty": b""}))
    ids = {file.path: file.blob for file in open_snapshot("pypi:demo").files}
    assert ids == {
        "hello": "ce013625030ba8dba906f756967f9e9ca394464a",
        "empty": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    }


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_source_archive_is_read_and_its_setup_never_runs(index: Index, tmp_path: Path, kind: str) -> None:
    trace = tmp_path / "ran"
    setup = f"open({str(trace)!r}, 'w')\n".encode()
    files = {"demo-1.0/setup.py": setup, "demo-1.0/demo.py": b"1\n", "demo-1.0/PKG-INFO": b"Name: demo\n"}
    index.add(f"demo-1.0.tar.{kind}", sdist(files, kind=kind))
    snapshot = open_snapshot("pypi:demo==1.0")
    assert contents(snapshot) == {"setup.py": setup, "demo.py": b"1\n", "PKG-INFO": b"Name: demo\n"}
    assert not trace.exists()


def test_a_wheel_is_preferred_also_one_for_another_system(index: Index) -> None:
    index.add("demo-1.0.tar.gz", sdist({"demo-1.0/a.py": b"sdist"}))
    index.add("demo-1.0-cp27-cp27m-win32.whl", wheel({"a.py": b"wheel"}))
    assert contents(open_snapshot("pypi:demo==1.0")) == {"a.py": b"wheel"}


def test_without_a_version_the_newest_release_is_read(index: Index) -> None:
    for version in ("1.9", "1.10", "2.0.dev1"):
        index.add(f"demo-{version}-py3-none-any.whl", wheel({"v.py": version.encode()}))
    assert contents(open_snapshot("pypi:demo")) == {"v.py": b"1.10"}
    assert contents(open_snapshot("pypi:demo==2.0.dev1")) == {"v.py": b"2.0.dev1"}


def test_offline_reads_what_was_fetched_before(index: Index) -> None:
    index.add("demo-1.0-py3-none-any.whl", wheel({"a.py": b"1"}))
    open_snapshot("pypi:demo==1.0")
    (index.root / "simple" / "demo" / "index.html").unlink()
    assert contents(open_snapshot("pypi:demo", OFFLINE)) == {"a.py": b"1"}
    with pytest.raises(UncribError, match=r"no package demo==2\.0 in the cache; run once without --offline"):
        open_snapshot("pypi:demo==2.0", OFFLINE)


class TestWrongSources:
    """Each gets its own sentence."""

    def test_no_such_package_or_version(self, index: Index) -> None:
        index.add("demo-1.0-py3-none-any.whl", wheel({"a.py": b"1"}))
        with pytest.raises(UncribError, match=r"no package demo==2\.0 in the index; check name and version"):
            open_snapshot("pypi:demo==2.0")
        with pytest.raises(UncribError, match="no package other in the index"):
            open_snapshot("pypi:other")

    def test_a_version_that_is_none(self, index: Index) -> None:
        with pytest.raises(UncribError, match="write pypi:name==version"):
            open_snapshot("pypi:demo==1..0")

    def test_an_index_that_cannot_be_reached(self, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")
        with pytest.raises(UncribError, match="the package index could not be read") as error:
            open_snapshot("pypi:demo")
        assert "\n" not in str(error.value)

    def test_a_file_that_is_not_what_the_index_says(self, index: Index, tmp_path: Path) -> None:
        index.add("demo-1.0-py3-none-any.whl", wheel({"a.py": b"1"}), digest="0" * 64)
        with pytest.raises(UncribError, match="differs from the digest"):
            open_snapshot("pypi:demo")
        assert not list((tmp_path / "cache" / "packages").glob("*.whl"))

    def test_a_file_larger_than_the_limit(self, index: Index) -> None:
        index.add("demo-1.0-py3-none-any.whl", wheel({"a.py": os.urandom(5000)}))
        with pytest.raises(UncribError, match="limit total_bytes=1,000; raise it with --limit total_bytes="):
            open_snapshot("pypi:demo", Options(limits=Limits(total_bytes=1000)))

    @pytest.mark.parametrize("name", ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-1.0.zip"])
    def test_a_file_that_is_no_archive(self, index: Index, name: str) -> None:
        index.add(name, b"this is no archive" * 100)
        with pytest.raises(UncribError, match="is damaged"):
            open_snapshot("pypi:demo")


class TestHostileArchives:
    """Bounded time and memory, nothing outside, the rest is still read."""

    def test_paths_out_of_the_archive_are_left_out(self, index: Index, tmp_path: Path) -> None:
        data = wheel({"../../evil.py": b"1", "/etc/evil.py": b"1", "good.py": b"1"})
        index.add("demo-1.0-py3-none-any.whl", data)
        snapshot = open_snapshot("pypi:demo")
        assert contents(snapshot) == {"good.py": b"1"}
        assert "2 members with paths out of the archive were left out" in said(snapshot)
        assert not list(tmp_path.rglob("evil.py"))

    def test_a_name_that_is_no_utf8_is_shown_by_its_bytes(self, index: Index) -> None:
        index.add(
            "made-1.0.tar.gz", sdist({"made-1.0/caf\udce9.py": b"x = 1\n", "made-1.0/b.py": b"y = 1\n"})
        )
        snapshot = open_snapshot("pypi:made==1.0")
        assert contents(snapshot) == {"b.py": b"y = 1\n", "caf\\xe9.py": b"x = 1\n"}

    def test_links_are_left_out(self, index: Index) -> None:
        links = {"demo-1.0/passwd.py": "/etc/passwd", "demo-1.0/up": "../.."}
        index.add("demo-1.0.tar.gz", sdist({"demo-1.0/a.py": b"1"}, links))
        assert contents(open_snapshot("pypi:demo")) == {"a.py": b"1"}

    def test_a_zip_bomb_is_not_unfolded(self, index: Index) -> None:
        index.add("demo-1.0-py3-none-any.whl", wheel({"a.py": b"1", "bomb.py": b"\0" * 50_000_000}))
        snapshot = open_snapshot("pypi:demo", Options(limits=Limits(total_bytes=1_000_000)))
        assert contents(snapshot) == {"a.py": b"1"}
        assert "bomb.py: not read: bomb.py, larger than the limit file_bytes" in said(snapshot)

    def test_a_tar_bomb_is_not_unfolded(self, index: Index) -> None:
        files = {"demo-1.0/a.py": b"1", "demo-1.0/bomb.py": b"\0" * 50_000_000, "demo-1.0/z.py": b"1"}
        index.add("demo-1.0.tar.gz", sdist(files))
        snapshot = open_snapshot("pypi:demo", Options(limits=Limits(total_bytes=1_000_000)))
        assert contents(snapshot) == {"a.py": b"1"}
        assert "larger than the limit total_bytes allows" in said(snapshot)

    def test_a_damaged_member_is_absent_and_the_others_are_read(self, index: Index) -> None:
        data = wheel({"a.py": b"12345", "b.py": b"1"}, zipfile.ZIP_STORED)
        index.add("demo-1.0-py3-none-any.whl", data.replace(b"12345", b"54321", 1))
        snapshot = open_snapshot("pypi:demo")
        assert contents(snapshot) == {"b.py": b"1"}
        assert "damaged, left out: a.py" in said(snapshot)

    def test_a_truncated_archive_is_read_in_part(self, index: Index) -> None:
        files = {f"demo-1.0/{number}.py": os.urandom(20_000) for number in range(10)}
        data = sdist(files)
        index.add("demo-1.0.tar.gz", data[: len(data) // 2])
        snapshot = open_snapshot("pypi:demo")
        assert 0 < len(snapshot.files) < 10
        assert "read in part" in said(snapshot)

    def test_the_number_of_files_is_limited(self, index: Index) -> None:
        index.add("demo-1.0-py3-none-any.whl", wheel({f"{number}.py": b"1" for number in range(10)}))
        snapshot = open_snapshot("pypi:demo", Options(limits=Limits(files=3)))
        assert len(snapshot.files) == 3
        assert "only the first 3 files" in said(snapshot)

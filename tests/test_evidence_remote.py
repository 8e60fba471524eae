"""Checkpoint headers of a Hugging Face source, read by ranges from a loopback server with the hub's API."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import checkpoint_factory as factory
import numpy as np
import pytest
from git_factory import new_repository

from detector.evidence.checkpoints.collection import collect
from detector.snapshot import Snapshot, open_snapshot

huggingface_hub = pytest.importorskip("huggingface_hub")

WEIGHTS = np.zeros((1024, 1024), dtype="f4")
FILES = {
    "model.safetensors": factory.safetensors({"layer.weight": WEIGHTS, "other.weight": WEIGHTS}),
    "pytorch_model.bin": factory.torch_zip({"layer.weight": WEIGHTS, "other.weight": WEIGHTS}),
}


@dataclass
class Hub:
    """What the server has sent."""

    url: str = ""
    sent: dict[str, int] = field(default_factory=dict)


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].rpartition("/")[2]
            if "/resolve/" in self.path:
                self.ranged(name)
            elif "/tree/" in self.path:
                rows = [
                    {"type": "file", "oid": "0" * 40, "size": len(data), "path": name}
                    for name, data in FILES.items()
                ]
                self.answer(json.dumps(rows).encode())
            else:
                siblings = [{"rfilename": name} for name in FILES]
                row = {"_id": "1", "id": "org/name", "sha": "c" * 40, "siblings": siblings, "tags": []}
                self.answer(json.dumps({**row, "private": False, "downloads": 0, "likes": 0}).encode())

        def do_POST(self) -> None:
            wanted = self.rfile.read(int(self.headers["Content-Length"])).decode()
            rows = [
                {"type": "file", "oid": "0" * 40, "size": len(data), "path": name}
                for name, data in FILES.items()
                if name in wanted
            ]
            self.answer(json.dumps(rows).encode())

        def ranged(self, name: str) -> None:
            given = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
            assert given, "a whole file was asked for"
            data = FILES[name][int(given[1]) : int(given[2]) + 1]
            state.sent[name] = state.sent.get(name, 0) + len(data)
            self.answer(data, 206)

        def answer(self, data: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Snapshot:
    system = partial(huggingface_hub.HfFileSystem, endpoint=hub.url, token=False, skip_instance_cache=True)
    monkeypatch.setattr(huggingface_hub, "HfFileSystem", system)
    repository = new_repository(tmp_path / "r")
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
    repository.commit({name: text.format("ab" * 32, len(data)) for name, data in FILES.items()})
    local = open_snapshot(str(repository.path))
    web = "https://huggingface.co/org/name/blob/{commit}/{path}#L{start}-L{end}"
    return replace(local, source="hf:org/name", web=web, commit="c" * 40)


def test_headers_are_read_by_ranges_and_weights_stay(snapshot: Snapshot, hub: Hub) -> None:
    models, notices = collect(snapshot, "a")
    assert not notices
    assert sorted(model.path for model in models) == sorted(FILES)
    for model in models:
        shapes = {tensor.name: tensor.shape for tensor in model.tensors}
        assert shapes == {"layer.weight": (1024, 1024), "other.weight": (1024, 1024)}
    for name, data in FILES.items():
        assert hub.sent[name] < len(data) / 4


def test_offline_nothing_is_asked_for(snapshot: Snapshot, hub: Hub) -> None:
    models, notices = collect(snapshot, "a", offline=True)
    assert not models
    assert "not at hand" in notices[0].message
    assert not hub.sent


def test_a_local_clone_of_such_a_repository_asks_no_host(snapshot: Snapshot, hub: Hub) -> None:
    assert collect(replace(snapshot, source="/home/ada/clone"), "a")[0] == []
    assert not hub.sent


def test_a_host_that_answers_nonsense_is_a_notice(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "model.safetensors", b"")
    models, notices = collect(snapshot, "a")
    assert [model.path for model in models] in (["pytorch_model.bin"], [])
    assert notices[0].where == "model.safetensors"

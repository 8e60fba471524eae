"""Checkpoint files are read as data: every format, and everything that a hostile file can hold."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import checkpoint_factory as factory
import numpy as np
import pytest
from git_factory import new_repository

from detector.evidence.checkpoints import gguf, index, onnx, pickle_zip, safetensors
from detector.evidence.checkpoints.collection import collect
from detector.evidence.checkpoints.layout import HEADER_BYTES, Damaged
from detector.evidence.checkpoints.values import SAMPLE, sample
from detector.snapshot import open_snapshot

RANDOM = np.random.default_rng(7)
TENSORS = {
    "encoder.layers.0.proj.weight": RANDOM.normal(size=(6, 4)).astype("f4"),
    "encoder.layers.1.proj.weight": RANDOM.normal(size=(6, 4)).astype("f2"),
    "head": RANDOM.normal(size=(5,)).astype("f4"),
}
FORMATS: list[tuple[str, Callable[[Mapping[str, Any]], bytes], Any]] = [
    ("model.safetensors", factory.safetensors, safetensors.read),
    ("pytorch_model.bin", factory.torch_zip, pickle_zip.read),
    ("model.gguf", factory.gguf, gguf.read),
    ("model.onnx", factory.onnx, onnx.read),
]


@contextmanager
def bounded(seconds: float = 5.0, megabytes: float = 300.0) -> Iterator[None]:
    """The body takes no more time and memory than this."""
    tracemalloc.start()
    start = time.monotonic()
    try:
        yield
        assert time.monotonic() - start < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "write", "read"), FORMATS)
def test_names_shapes_dtypes_and_values_of_every_format(
    name: str, write: Callable[[Mapping[str, Any]], bytes], read: Any
) -> None:
    data = write(TENSORS)
    layout = read(io.BytesIO(data), name)
    assert {tensor.name: (tensor.shape, tensor.dtype) for tensor in layout.tensors} == {
        name: (array.shape, {"float32": "F32", "float16": "F16"}[str(array.dtype)])
        for name, array in TENSORS.items()
    }
    for tensor in layout.tensors:
        values = sample(io.BytesIO(data), tensor)
        assert np.array_equal(values.reshape(-1), TENSORS[tensor.name].astype("f4").reshape(-1))


def test_an_index_gives_names_and_the_total_size() -> None:
    layout = index.read(
        io.BytesIO(factory.index({"a.weight": "model-00001-of-00002.safetensors"}, 1234)), "x"
    )
    assert [tensor.name for tensor in layout.tensors] == ["a.weight"]
    assert layout.total_size == 1234


def test_the_model_is_found_beside_the_optimizer_in_a_training_checkpoint() -> None:
    layout = pickle_zip.read(io.BytesIO(factory.torch_zip(TENSORS, wrap="model")), "last.ckpt")
    assert {tensor.name for tensor in layout.tensors} == set(TENSORS)


def test_a_large_tensor_is_sampled_at_places_that_depend_on_its_shape_alone() -> None:
    big = np.arange(4 * SAMPLE, dtype="f4").reshape(-1, 512)
    data = factory.safetensors({"w": big})
    (tensor,) = safetensors.read(io.BytesIO(data), "x").tensors
    values = sample(io.BytesIO(data), tensor)
    assert values.size <= SAMPLE
    assert values[0, 0] == 0 and values[-1, -1] == big[-1, -1]


class Evil:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def zipped(pickled: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
    return stream.getvalue()


def nested_tuples(depth: int) -> bytes:
    return b"\x80\x02" + b")" + b"\x85" * depth + b"."


WRONG_SIZE = json.dumps({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
HOSTILE: dict[str, bytes] = {
    "claims-2-to-the-60.safetensors": struct.pack("<Q", 2**60) + b"{}",
    "truncated.safetensors": factory.safetensors(TENSORS)[:40],
    "nested.safetensors": struct.pack("<Q", 200_000) + b"[" * 100_000 + b"]" * 100_000,
    "nested-shape.safetensors": struct.pack("<Q", 100_008)
    + b'{"a":'
    + b"[" * 50_000
    + b"]" * 50_000
    + b"}"
    + b"  ",
    "wrong-size.safetensors": struct.pack("<Q", len(WRONG_SIZE)) + WRONG_SIZE,
    "empty.safetensors": b"",
    "nested.safetensors.index.json": b'{"weight_map":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "list.bin.index.json": b"[1, 2, 3]",
    "bomb.pt": zipped(b"\x80\x02" + b"N0" * (HEADER_BYTES // 2 + 10**6) + b"N."),
    "nested.pt": zipped(nested_tuples(100_000)),
    "truncated.pth": factory.torch_zip(TENSORS)[:200],
    "long-string.ckpt": zipped(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"abc."),
    "no-mark.pt": zipped(b"\x80\x02t."),
    "not-a-pickle.pt": b"\x80\x02\xff\xff\xff",
    "text.pt": b"hello",
    "claims.gguf": b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60),
    "string.gguf": b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**60),
    "array.gguf": b"GGUF"
    + struct.pack("<IQQ", 3, 1, 1)
    + b"\1"
    + b"\0" * 7
    + b"k"
    + struct.pack("<IIQ", 9, 8, 2**50),
    "truncated.gguf": factory.gguf(TENSORS)[:60],
    "length.onnx": b"\x3a" + b"\xff" * 8 + b"\x7f",
    "endless.onnx": b"\xff" * 64,
    "empty.onnx": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_damaged_file_is_one_notice_in_bounded_time_and_memory(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    (tmp_path / "good.safetensors").write_bytes(factory.safetensors(TENSORS))
    snapshot = open_snapshot(str(tmp_path))
    with bounded():
        models, notices = collect(snapshot, "a")
    assert [model.path for model in models] == ["good.safetensors"]
    assert [notice.where for notice in notices] == [name]


def test_a_pickle_that_would_run_code_runs_nothing_and_is_named(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    (tmp_path / "model.pt").write_bytes(zipped(pickle.dumps({"a": Evil(target), "b": 1})))
    (tmp_path / "legacy.pth").write_bytes(pickle.dumps(Evil(target)))
    _, notices = collect(open_snapshot(str(tmp_path)), "a")
    assert not target.exists()
    assert {notice.where for notice in notices} == {"model.pt", "legacy.pth"}


def test_a_checkpoint_whose_pickle_also_calls_something_is_used_with_a_remark() -> None:
    """The tensors stay evidence; what loading them would run is said."""
    good = factory.torch_zip(TENSORS)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        pickled = archive.read("archive/data.pkl")
    call = b"cposix\nsystem\nX\x02\x00\x00\x00ls\x85R0"
    layout = pickle_zip.read(io.BytesIO(zipped(pickled[:2] + call + pickled[2:])), "x.pt")
    assert len(layout.tensors) == 3
    assert "posix.system" in layout.remarks[0]


def test_a_dictionary_that_contains_itself_ends() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(Damaged, match="no tensors"):
        pickle_zip.read(io.BytesIO(zipped(pickle.dumps(loop))), "x.pt")


def test_shards_and_their_index_are_one_model(tmp_path: Path) -> None:
    names = list(TENSORS)
    shards = {"model-00001-of-00002.safetensors": names[:2], "model-00002-of-00002.safetensors": names[2:]}
    for shard, held in shards.items():
        (tmp_path / shard).write_bytes(factory.safetensors({name: TENSORS[name] for name in held}))
    where = {name: shard for shard, held in shards.items() for name in held}
    (tmp_path / "model.safetensors.index.json").write_bytes(factory.index(where, 164))
    models, notices = collect(open_snapshot(str(tmp_path)), "a")
    assert not notices
    (model,) = models
    assert model.path == "model.safetensors.index.json"
    assert model.total_size == 164
    assert {tensor.name: tensor.shape for tensor in model.tensors} == {
        name: array.shape for name, array in TENSORS.items()
    }


def test_a_pointer_is_followed_into_the_local_store_of_git_lfs(tmp_path: Path) -> None:
    data = factory.safetensors(TENSORS)
    oid = "ab" * 32
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
    repository = new_repository(tmp_path / "r")
    repository.commit({"model.safetensors": pointer, "other.safetensors": pointer.replace("ab", "cd")})
    place = repository.path / ".git" / "lfs" / "objects" / "ab" / "ab" / oid
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    models, notices = collect(open_snapshot(str(repository.path)), "a")
    assert [(model.path, len(model.tensors)) for model in models] == [("model.safetensors", 3)]
    assert [notice.where for notice in notices] == ["other.safetensors"]


def test_a_bin_file_of_another_kind_is_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.bin").write_bytes(b"\0\1\2 something else")
    assert collect(open_snapshot(str(tmp_path)), "a") == ([], [])

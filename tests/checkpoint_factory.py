"""Real checkpoint files of every format for the tests, written byte by byte without the frameworks."""

from __future__ import annotations

import collections
import io
import json
import pickle
import struct
import sys
import types
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_SAFETENSORS = {"float32": "F32", "float16": "F16", "float64": "F64", "int8": "I8", "int64": "I64"}
_STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "float64": "DoubleStorage",
    "int8": "CharStorage",
}
_ONNX = {"float32": 1, "int8": 3, "float16": 10, "float64": 11}


def safetensors(tensors: Mapping[str, Array]) -> bytes:
    """A safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": _SAFETENSORS[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def index(names: Mapping[str, str], total_size: int) -> bytes:
    """A *.index.json: name -> shard."""
    return json.dumps({"metadata": {"total_size": total_size}, "weight_map": dict(names)}).encode()


def torch_zip(tensors: Mapping[str, Array], wrap: str = "") -> bytes:
    """A file as `torch.save(state_dict)` writes it, or `torch.save({wrap: state_dict, "epoch": 3})`."""
    storages: dict[str, bytes] = {}
    state = collections.OrderedDict(
        (name, _tensor(array, str(number), storages)) for number, (name, array) in enumerate(tensors.items())
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", _torch_pickle({wrap: state, "epoch": 3} if wrap else state))
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


class _Storage:
    def __init__(self, key: str, kind: str, count: int) -> None:
        self.key, self.kind, self.count = key, kind, count


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...]) -> None:
        self.storage, self.shape = storage, shape

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(int(np.prod(self.shape[at + 1 :])) for at in range(len(self.shape)))
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self.storage, 0, self.shape, strides, False, collections.OrderedDict())


def _tensor(array: Array, key: str, storages: dict[str, bytes]) -> _Tensor:
    storages[key] = np.ascontiguousarray(array).tobytes()
    return _Tensor(_Storage(key, _STORAGES[str(array.dtype)], array.size), array.shape)


def _torch_pickle(value: Any) -> bytes:
    """Pickle with references to torch's names, for which stand-in modules exist while pickling."""
    torch, utilities = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*arguments: Any) -> None:
        raise AssertionError("a checkpoint was unpickled")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utilities._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, _Storage):
                return ("storage", getattr(torch, obj.kind), obj.key, "cpu", obj.count)
            return None

    known = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utilities})
    try:
        stream = io.BytesIO()
        Pickler(stream, protocol=2).dump(value)
        return stream.getvalue()
    finally:
        for name, module in known.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def gguf(tensors: Mapping[str, Array], tokens: tuple[str, ...] = ("a", "b")) -> bytes:
    """A GGUF file, version 3, with a token list before its tensors."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 2)
    out += _gguf_text("general.architecture") + struct.pack("<I", 8) + _gguf_text("llama")
    out += _gguf_text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(tokens))
    out += b"".join(_gguf_text(token) for token in tokens)
    data = b""
    for name, array in tensors.items():
        sizes = array.shape[::-1]
        kind = {"float32": 0, "float16": 1}[str(array.dtype)]
        out += _gguf_text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(data))
        data += _padded(np.ascontiguousarray(array).tobytes())
    return _padded(out) + data


def _gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 32)


def onnx(tensors: Mapping[str, Array]) -> bytes:
    """An ONNX model whose graph holds initializers only."""
    graph = b""
    for name, array in tensors.items():
        dims = b"".join(_field(1, 0, _varint(size)) for size in array.shape)
        kind = _field(2, 0, _varint(_ONNX[str(array.dtype)]))
        raw = np.ascontiguousarray(array).tobytes()
        tensor = dims + kind + _field(8, 2, _sized(name.encode())) + _field(9, 2, _sized(raw))
        graph += _field(5, 2, _sized(tensor))
    return _field(1, 0, _varint(8)) + _field(7, 2, _sized(graph))


def _field(number: int, wire: int, content: bytes) -> bytes:
    return _varint(number << 3 | wire) + content


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])

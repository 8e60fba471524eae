"""`torch.save` files (.bin, .pt, .pth, .ckpt): a zip with one pickle, or since before 2020 a row of pickles.

The pickle is followed as opcodes (`opcodes`), so a file made to run code when loaded runs nothing here. The
storages lie uncompressed in the zip, so a tensor's values can be read in place.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from detector.evidence.checkpoints.layout import (
    HEADER_BYTES,
    TENSORS,
    WIDTHS,
    Damaged,
    Layout,
    Tensor,
    checked_shape,
)
from detector.evidence.checkpoints.opcodes import Call, Machine, Name, Persistent

_MAGIC = 0x1950A86A20F9469CFC6C
"""the first pickle of torch's format before zip files"""
_STORAGES = {
    **{"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16"},
    **{"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8"},
    **{"ByteStorage": "U8", "BoolStorage": "BOOL"},
}
_HARMLESS = (
    "torch",
    "__torch__",
    "collections",
    "numpy",
    "argparse.Namespace",
    "_codecs.encode",
    "pathlib",
    "copyreg",
)
"""beginnings of the names that state dicts refer to; others deserve a remark"""
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")


@dataclass(frozen=True, slots=True)
class _Storage:
    tensor: Tensor
    key: str


def read(stream: BinaryIO, path: str) -> Layout:
    """The tensors of the largest state dict in the file. Raises Damaged when there is none to read."""
    stream.seek(0)
    machine = Machine()
    if stream.read(2) == b"PK":
        stream.seek(0)
        root, offsets = _zipped(stream, machine)
    else:
        stream.seek(0)
        root, offsets = _legacy(stream, machine), {}
    found = _largest_state(root)
    if not found:
        raise Damaged("its pickle holds no tensors")
    tensors = tuple(
        replace(storage.tensor, name=name, file=path, offset=_offset(storage, offsets))
        for name, storage in found.items()
    )
    strange = sorted(name for name in machine.names if not name.startswith(_HARMLESS))
    remark = (
        f"loading this pickle would call or build {', '.join(strange[:5])}; Uncrib did not" if strange else ""
    )
    return Layout(path, "torch", tensors, remarks=(remark,) if remark else ())


def _zipped(stream: BinaryIO, machine: Machine) -> tuple[Any, dict[str, int]]:
    """The pickle of a zip, and where each stored (uncompressed) entry's bytes start, by its key."""
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > 2 * TENSORS:
                raise Damaged("its zip holds more entries than any model has")
            pickled = next((entry for entry in entries if entry.filename.endswith("data.pkl")), None)
            if pickled is None:
                raise Damaged("its zip holds no data.pkl")
            with archive.open(pickled) as member:
                data = member.read(HEADER_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, struct.error):
        raise Damaged("it is not a readable zip file") from None
    except zlib.error:
        raise Damaged("its zip data are broken") from None
    if len(data) > HEADER_BYTES:
        raise Damaged(f"its data.pkl unpacks to more than {HEADER_BYTES} bytes")
    stored = {
        entry.filename.rpartition("/data/")[2]: entry.header_offset
        for entry in entries
        if entry.compress_type == zipfile.ZIP_STORED and "/data/" in entry.filename
    }
    root = machine.run(io.BytesIO(data))
    return root, {key: _data_start(stream, offset) for key, offset in stored.items()}


def _data_start(stream: BinaryIO, header: int) -> int:
    """A zip entry's bytes start after its local header, whose two last lengths say how long it is."""
    stream.seek(header + 26)
    lengths = stream.read(4)
    return header + 30 + sum(struct.unpack("<HH", lengths)) if len(lengths) == 4 else -1


def _legacy(stream: BinaryIO, machine: Machine) -> Any:
    data = io.BytesIO(stream.read(HEADER_BYTES))
    first = machine.run(data)
    if first != _MAGIC:
        return first
    machine.run(data)
    machine.run(data)
    return machine.run(data)


def _offset(storage: _Storage, offsets: dict[str, int]) -> int | None:
    start = offsets.get(storage.key, -1)
    return start + (storage.tensor.offset or 0) if start >= 0 and storage.tensor.offset is not None else None


def _largest_state(root: Any) -> dict[str, _Storage]:
    """Of all dicts and modules in the object, the one that holds the most tensors under names.

    A training checkpoint wraps the model beside the optimizer's state; the model has the largest flat dict.
    """
    best: dict[str, _Storage] = {}
    seen: set[int] = set()
    queue = [root]
    while queue:
        value = queue.pop()
        if id(value) in seen or not isinstance(value, (dict, list, tuple, Call)):
            continue
        seen.add(id(value))
        state = value.state if isinstance(value, Call) else value
        if isinstance(value, Call) and isinstance(state, dict):
            found = _module_tensors(state, seen)
        elif isinstance(state, dict):
            pairs = ((str(key), _tensor(inner)) for key, inner in state.items())
            found = {name: tensor for name, tensor in pairs if tensor is not None}
            queue.extend(state.values())
        else:
            found = {}
            queue.extend(state if isinstance(state, (list, tuple)) else ())
        if isinstance(value, Call):
            queue.extend([*value.items.values(), *value.arguments])
        if len(found) > len(best):
            best = found
    if len(best) > TENSORS:
        raise Damaged(f"it lists more than {TENSORS} tensors")
    return best


def _module_tensors(state: dict[Any, Any], seen: set[int]) -> dict[str, _Storage]:
    """The tensors of a whole pickled module, named as its state dict would name them.

    A `torch.nn.Module` keeps them in three dicts, a scripted one among its attributes.
    """
    found: dict[str, _Storage] = {}
    queue: list[tuple[str, Any]] = [("", state)]
    while queue:
        prefix, inner = queue.pop()
        for part in [inner[part] for part in _MODULE_PARTS if part in inner] or [inner]:
            members = part.items if isinstance(part, Call) else part
            for name, member in members.items() if isinstance(members, dict) else ():
                tensor = _tensor(member)
                if tensor is not None:
                    found[f"{prefix}{name}"] = tensor
                elif isinstance(member, Call) and isinstance(member.state, dict) and id(member) not in seen:
                    seen.add(id(member))
                    queue.append((f"{prefix}{name}.", member.state))
    return found


def _tensor(value: Any) -> _Storage | None:
    """A tensor stand-in from torch's rebuild calls; None for anything else."""
    for _ in range(4):  # a parameter wraps a tensor, a subclass wraps a parameter
        if not isinstance(value, Call) or not isinstance(value.function, Name) or not value.arguments:
            return None
        arguments = value.arguments
        if value.function.text.startswith("torch._utils._rebuild_tensor") and len(arguments) >= 4:
            return _rebuilt(*arguments[:4])
        if value.function.text == "torch._tensor._rebuild_from_type_v2" and len(arguments) >= 3:
            value = Call(arguments[0], arguments[2] if isinstance(arguments[2], tuple) else ())
        else:
            value = arguments[0]
    return None


def _rebuilt(storage: Any, start: Any, shape: Any, strides: Any) -> _Storage | None:
    parts = storage.value if isinstance(storage, Persistent) else None
    if (
        not isinstance(parts, tuple)
        or len(parts) < 3
        or not isinstance(parts[1], Name)
        or type(start) is not int
    ):
        return None
    dtype = _STORAGES.get(parts[1].text.rpartition(".")[2], "")
    shape = checked_shape(shape)
    offset = start * WIDTHS[dtype] if dtype and strides == _contiguous(shape) and start >= 0 else None
    return _Storage(Tensor("", shape, dtype, offset=offset), str(parts[2])[:200])


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))

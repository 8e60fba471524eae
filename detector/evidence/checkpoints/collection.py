"""The checkpoints of a snapshot: which files are some, what each says, and which are shards of one model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import PurePosixPath
from typing import BinaryIO

from detector.evidence.checkpoints.formats import format_of
from detector.evidence.checkpoints.layout import Damaged, Layout, Tensor
from detector.evidence.checkpoints.remote import Unreachable
from detector.evidence.checkpoints.stream import open_stream
from detector.snapshot.model import File, Notice, Snapshot

Reader = Callable[[BinaryIO, str], Layout]
FILES = 200
"""checkpoint files looked at in one snapshot"""
BATCH_BYTES = 128 * 2**20
"""bytes of checkpoints that are held in memory at once because they have no place on disk"""
_SHARD = re.compile(r"[-_.]\d{5}-of-\d{5}$")
_PICKLES = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One model's tensors. `path` is its index, or its only or first file; `files` all that it was read
    from.
    """

    path: str
    format: str
    tensors: tuple[Tensor, ...]
    total_size: int | None
    files: tuple[str, ...]


def collect(snapshot: Snapshot, side: str, offline: bool = False) -> tuple[list[Checkpoint], list[Notice]]:
    """Every checkpoint of the snapshot whose tensors can be listed, and a notice for each that cannot."""
    chosen = [(file, reader) for file in snapshot.files if (reader := reader_of(file.path))]
    if not chosen:
        return [], []
    notices: list[Notice] = []
    if len(chosen) > FILES:
        notices.append(
            Notice(f"only the first {FILES} of {len(chosen)} checkpoint files were read", side=side)
        )
    contents = snapshot.read(_batch(file for file, _ in chosen[:FILES]))
    layouts: list[Layout] = []
    absent: list[str] = []
    for file, reader in chosen[:FILES]:
        try:
            layout = _read(snapshot, file, reader, contents, offline)
        except (Damaged, OSError) as error:
            offline = offline or isinstance(error, Unreachable)  # one host that is down is not asked again
            notices.append(Notice(f"left out of the weights: {error}", file.path, side))
            continue
        if layout is None:
            absent.append(file.path)
            continue
        layouts.append(layout)
        notices.extend(Notice(remark, file.path, side) for remark in layout.remarks)
    models = _joined(layouts)
    indexed = {tensor.file for model in models for tensor in model.tensors}
    missing = [path for path in absent if PurePosixPath(path).name not in indexed and path not in indexed]
    if missing:
        notices.append(
            Notice(f"the contents of {len(missing)} checkpoint files are not at hand", missing[0], side)
        )
    return models, notices


def reader_of(path: str) -> Reader | None:
    """The function that reads a file's layout, by the end of its name; None for no checkpoint."""
    format = format_of(path)
    if format is None:
        return None
    reader: Reader = import_module(f"detector.evidence.checkpoints.{format}").read
    return reader


def _batch(files: Iterable[File]) -> list[str]:
    """Paths to read at once: smallest first, as many as memory may hold."""
    left, paths = BATCH_BYTES, []
    for file in sorted(files, key=lambda file: file.size or 0):
        left -= file.size or 0
        if left >= 0:
            paths.append(file.path)
    return paths


def _read(
    snapshot: Snapshot, file: File, reader: Reader, contents: dict[str, bytes], offline: bool
) -> Layout | None:
    """The file's layout; None where its bytes are not at hand or it is a .bin or .json of another kind."""
    stream = open_stream(snapshot, file, contents, offline)
    if stream is None:
        return None
    with stream:
        if format_of(file.path) == "pickle_zip":
            start = stream.read(4)
            stream.seek(0)
            if not start.startswith(_PICKLES):
                if file.path.endswith(".bin"):  # the name is used for much else
                    return Layout(file.path, "other", ())
                raise Damaged("it is neither a zip file nor a pickle")
        return reader(stream, file.path)


def _joined(layouts: list[Layout]) -> list[Checkpoint]:
    """One checkpoint for all files of one folder whose names differ only in the number of the shard."""
    groups: dict[tuple[str, str], list[Layout]] = {}
    for layout in layouts:
        if layout.tensors:
            groups.setdefault(_model_name(layout.path), []).append(layout)
    return [_checkpoint(group) for _, group in sorted(groups.items())]


def _model_name(path: str) -> tuple[str, str]:
    place = PurePosixPath(path)
    name = place.name.removesuffix(".json").removesuffix(".index")
    stem, dot, suffix = name.rpartition(".")
    return str(place.parent), _SHARD.sub("", stem) + dot + suffix


def _checkpoint(group: list[Layout]) -> Checkpoint:
    first = min(group, key=lambda layout: (layout.format != "index", layout.path))
    known = {tensor.name: tensor for layout in group if layout.format != "index" for tensor in layout.tensors}
    tensors = {tensor.name: tensor for tensor in first.tensors} | known
    totals = [layout.total_size for layout in group]
    total = first.total_size
    if first.format != "index":
        total = sum(size for size in totals if size is not None) if None not in totals else None
    return Checkpoint(
        first.path,
        next((layout.format for layout in group if layout.format != "index"), first.format),
        tuple(replace(tensor, file=tensor.file or first.path) for tensor in tensors.values()),
        total,
        tuple(layout.path for layout in group),
    )

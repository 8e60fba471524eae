"""Limits put on a listing before anything of it is read, each named where it bites."""

from __future__ import annotations

from collections.abc import Sequence

from detector.snapshot.model import File, Limits, Notice
from detector.snapshot.readable import is_code, is_readable

DATA_FACTOR = 16
"""a tokenizer or an index may be this many times as large as `Limits.file_bytes`, which is meant for code"""


def withhold(files: Sequence[File], limits: Limits) -> tuple[frozenset[str], list[Notice]]:
    """The blob ids that are not to be read, and why.

    Code comes first, then other readable files, then the rest, small ones before large ones, until
    `total_bytes` is used up. Objects that are not at hand have no size and cost nothing.
    """
    large = {file.path: file for file in files if (file.size or 0) > _most(file.path, limits)}
    notices: list[Notice] = []
    if code := [path for path in large if is_code(path)]:
        why = f"larger than the limit file_bytes={limits.file_bytes:,}"
        notices.append(Notice(f"not read: {listed(code)}, {why}", code[0]))
    if data := [path for path in large if is_readable(path) and not is_code(path)]:
        why = f"larger than {DATA_FACTOR} times the limit file_bytes={limits.file_bytes:,}"
        notices.append(Notice(f"not read: {listed(data)}, {why}", data[0]))
    over = _beyond_total([file for file in files if file.path not in large], limits.total_bytes)
    if named := [file.path for file in over if is_readable(file.path)]:
        notices.append(
            Notice(
                f"not read: {listed(named)}, beyond the limit total_bytes={limits.total_bytes:,}", named[0]
            )
        )
    return frozenset(file.blob for file in (*large.values(), *over)), notices


def _most(path: str, limits: Limits) -> int:
    return limits.file_bytes if is_code(path) else DATA_FACTOR * limits.file_bytes


def _beyond_total(files: Sequence[File], total_bytes: int) -> list[File]:
    spent = 0
    over: list[File] = []
    seen: set[str] = set()
    for file in sorted(files, key=lambda file: (_rank(file.path), file.size or 0, file.path)):
        if file.blob in seen or file.size is None:
            continue
        if spent + file.size > total_bytes:
            over.append(file)
            continue
        seen.add(file.blob)
        spent += file.size
    return sorted(over, key=lambda file: file.path)


def _rank(path: str) -> int:
    return 0 if is_code(path) else 1 if is_readable(path) else 2


def listed(paths: Sequence[str], shown: int = 3) -> str:
    """A few paths and how many more there are: "a.py, b.py, c.py and 4 more"."""
    head = ", ".join(paths[:shown])
    return f"{head} and {len(paths) - shown} more" if len(paths) > shown else head

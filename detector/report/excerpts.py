"""The source text that findings show, and how much of each file they cover."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from detector.evidence.finding import Finding, Span
from detector.report.model import Excerpt, FileExtent
from detector.snapshot.model import Notice, Snapshot
from detector.snapshot.readable import is_code, is_readable
from detector.unit.source import read_source

SideName = Literal["a", "b"]
Lines = tuple[int, int]
"""first and last line, from 1, inclusive"""

MARGIN = 3
"""lines shown before and after what a finding spans"""
LONGEST_SPAN = 2_000
"""lines shown of one span: longer ones are whole data files, which have views of their own"""
LONGEST_LINE = 4_000
"""characters kept of one line: enough for code, and a bound for data files of one line"""
MOST_CHARACTERS = 16 * 2**20
"""characters shown of one side"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a report shows of one side: excerpts by path and line, extents of all code files, warnings."""

    excerpts: tuple[Excerpt, ...]
    files: tuple[FileExtent, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    blob: str
    content: bytes

    def lines(self) -> list[str]:
        """All lines; the last is empty where the text ends with a line end."""
        return self.content.decode("utf-8", "replace").split("\n")


def shown(side: SideName, snapshot: Snapshot, findings: Sequence[Finding]) -> Shown:
    """Read what the findings show of one side. Room goes to the strongest findings first, in their order."""
    spans: dict[str, list[Span]] = {}
    for finding in findings:
        for span in finding.a if side == "a" else finding.b:
            spans.setdefault(span.path, []).append(span)
    texts = _texts(snapshot, spans)
    excerpts, left_out = _excerpts(side, texts, spans)
    files = tuple(_extent(side, path, text, spans.get(path, ())) for path, text in sorted(texts.items()))
    notices: tuple[Notice, ...] = ()
    if left_out:
        said = f"the text of {left_out} files is not shown: excerpts end at {MOST_CHARACTERS:,} characters"
        notices = (Notice(said, side=side),)
    return Shown(excerpts, files, notices)


def _texts(snapshot: Snapshot, spans: Mapping[str, Sequence[Span]]) -> dict[str, _Text]:
    """The lines of all code files and of other text files that findings name, as the parser numbers them."""
    blobs = {
        file.path: file.blob
        for file in snapshot.files
        if is_code(file.path) or (file.path in spans and is_readable(file.path))
    }
    contents = snapshot.read(blobs)
    return {
        path: _Text(blobs[path], read_source(path, content).text)
        for path, content in sorted(contents.items())
        if not _binary(content)
    }


def _binary(content: bytes) -> bool:
    """Git's own test, which lets UTF-16 with its mark pass here."""
    return b"\0" in content[:8000] and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _excerpts(
    side: SideName, texts: Mapping[str, _Text], spans: Mapping[str, Sequence[Span]]
) -> tuple[tuple[Excerpt, ...], int]:
    room = MOST_CHARACTERS
    chosen: list[Excerpt] = []
    left_out = 0
    for path, places in spans.items():
        if path not in texts:
            continue
        text = texts[path]
        lines = text.lines()
        wanted = [
            (span.start_line - MARGIN, min(span.end_line, span.start_line + LONGEST_SPAN) + MARGIN)
            for span in places
        ]
        pieces = [
            Excerpt(side, path, text.blob, first, "\n".join(map(_cut, lines[first - 1 : last])))
            for first, last in joined(wanted, len(lines))
        ]
        size = sum(len(piece.text) for piece in pieces)
        if size > room:
            left_out += 1
            continue
        room -= size
        chosen += pieces
    return tuple(sorted(chosen, key=lambda piece: (piece.path, piece.start_line))), left_out


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … ({len(line):,} characters)"


def _extent(side: SideName, path: str, text: _Text, places: Sequence[Span]) -> FileExtent:
    count = text.content.count(b"\n") + (text.content[-1:] not in (b"", b"\n"))
    covered = joined([(span.start_line, span.end_line) for span in places], count)
    return FileExtent(side, path, text.blob, count, sum(last - first + 1 for first, last in covered))


def joined(ranges: Sequence[Lines], count: int) -> list[Lines]:
    """The ranges within 1 to `count`, overlapping or touching ones made one, in order."""
    merged: list[Lines] = []
    for first, last in sorted((max(1, first), min(last, count)) for first, last in ranges):
        if last < first:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged

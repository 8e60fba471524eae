"""A JSONL file of answers, read line by line within bounds; a line that cannot be used is a notice."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from detector.errors import UncribError
from detector.snapshot.model import Notice

LINE_BYTES = 2**20
LINES = 500_000
FILE_BYTES = 256 * 2**20
"""a file is read up to these bounds"""
_QUESTION = ("id", "question_id", "question", "prompt")
_ANSWER = ("answer", "response", "prediction", "output", "text")
_LEVEL = ("noise", "noise_level", "level")
_NAMED = 20
"""bad lines that get a notice each; more are counted together"""


class Item(NamedTuple):
    """A question at a noise level ("" where there are none)."""

    question: str
    level: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The answers of one model, as written and by item, in the order of the file."""

    path: str
    answers: Mapping[Item, str]
    notices: tuple[Notice, ...] = ()


def read_sheet(path: Path, side: str = "") -> Sheet:
    """Read one file: one object per line with a question (or id), an answer, and optionally a noise level.

    Raises UncribError when the file cannot be opened or holds no answer at all.
    """
    answers: dict[Item, str] = {}
    bad: list[tuple[int, str]] = []
    try:
        for number, line in _lines(path):
            if number > LINES or not line:
                bad.append(
                    (number, f"and the rest were left out: limit of {LINES:,} lines and {FILE_BYTES:,} bytes")
                )
                break
            item, answer, trouble = _row(line)
            if not trouble and item in answers:
                trouble = "answers a question that was answered before; the first answer counts"
            if trouble:
                bad.append((number, trouble))
            else:
                answers[item] = answer
    except OSError as error:
        raise UncribError(
            f"the answers {path} cannot be read ({error.strerror}); give a JSONL file"
        ) from error
    if not answers:
        raise UncribError(f"{path} holds no answers; each line needs an object with a question and an answer")
    notices = [Notice(f"line {number} {trouble}", str(path), side) for number, trouble in bad[:_NAMED]]
    if len(bad) > _NAMED:
        notices.append(Notice(f"{len(bad) - _NAMED} more lines were left out", str(path), side))
    return Sheet(str(path), answers, tuple(notices))


def normal(answer: str) -> str:
    """An answer as it is compared: case, width, white space and surrounding punctuation do not count."""
    text = " ".join(unicodedata.normalize("NFKC", answer).casefold().split())
    return text.strip(" .,;:!?\"'`()[]") or text


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; an overlong one is cut, and an empty line stands where the file's bound is reached."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(LINE_BYTES + 1):
            number += 1
            yield number, line if stream.tell() <= FILE_BYTES else b""
            while len(line) > LINE_BYTES and not line.endswith(b"\n"):
                line = stream.readline(LINE_BYTES + 1)


def _row(line: bytes) -> tuple[Item, str, str]:
    """The item and answer of a line, or what is wrong with it."""
    nothing = Item("", "")
    if len(line) > LINE_BYTES:
        return nothing, "", f"is longer than {LINE_BYTES:,} bytes"
    try:
        row = json.loads(line)
    except RecursionError:
        return nothing, "", "is nested too deeply"
    except ValueError:
        return nothing, "", "is not valid JSON"
    if not isinstance(row, dict):
        return nothing, "", "is not an object"
    question, answer = _first(row, _QUESTION), _first(row, _ANSWER)
    if question is None or answer is None:
        return nothing, "", "has no question or no answer"
    return Item(question, _first(row, _LEVEL) or ""), answer, ""


def _first(row: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """The first of these fields that holds a plain value, as text."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return json.dumps(value)
    return None

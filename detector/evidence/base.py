"""What each side is built on, declared or not, and what both have in common.

One table for each side: base models in code, settings, adapters and merge recipes, hosted models, tuning.
A common base explains much of what two repositories share, so the table is information before it is
evidence: `docs/evidence/base.md` says when it is more. No finding carries bits here: shared prompts and data
are weighed as leftovers and identical files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from detector.evidence.finding import Evidence, Finding, Json, Span, Strength
from detector.evidence.foundation.usage import Usage, declared, family, read_usages
from detector.evidence.known import known
from detector.evidence.registry import Context
from detector.evidence.vocabulary import decode
from detector.evidence.wording import count
from detector.evidence.words import read_words
from detector.snapshot.model import File, Snapshot

LARGEST = 2**19
SHORTEST_PROMPT = 60
_README = re.compile(r"(^|/)(readme|model_?card|modelcard)[^/]*\.(md|rst|txt)$|^readme$", re.IGNORECASE)
_PROMPT = re.compile(
    r"\byou are (an?|the|now|given)\b|\bassistant\b|\bas an ai\b|### ?(instruction|response)|\byour task is\b"
    r"|answer the (following|question)",
    re.IGNORECASE,
)
_DATA = re.compile(
    r"\.(faiss|ann|hnsw|lance|sqlite3?|parquet|arrow|jsonl|csv|tsv|npy|npz|h5|lmdb|pkl)$|(^|/)chroma[^/]*/",
    re.IGNORECASE,
)
_SMALLEST_DATA = 1024


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """The two tables, and what in them speaks for a closer relation than a common base."""
    usages_a, usages_b = read_usages(a), read_usages(b)
    findings = [
        *_tables(usages_a, usages_b),
        *_undeclared("A", usages_a, _readme(a), a),
        *_undeclared("B", usages_b, _readme(b), b),
        *_one_loads_the_other("B", usages_b, a),
        *_one_loads_the_other("A", usages_a, b),
        *_prompts(a, b, context),
        *_data(a, b),
    ]
    return Evidence(tuple(findings))


def _tables(usages_a: Sequence[Usage], usages_b: Sequence[Usage]) -> Iterator[Finding]:
    if not usages_a and not usages_b:
        return
    names_b = {usage.name.lower() for usage in usages_b}
    common = sorted({usage.name for usage in usages_a if usage.name.lower() in names_b})
    title = "What each side is built on"
    if common:
        title += f"; both: {', '.join(common[:4])}"
    yield _finding(title, "weak" if common else "none", (usages_a, usages_b), common)


def _undeclared(side: str, usages: Sequence[Usage], readme: str, snapshot: Snapshot) -> Iterator[Finding]:
    """Bases and hosted models that the README does not name; nothing can be said where there is no README."""
    if not readme:
        return
    own = {part.lower() for part in snapshot.label.split("/")}
    names = {
        usage.name: family(usage.name)
        for usage in usages
        if usage.what != "tunes a base with" and not {part.lower() for part in usage.name.split("/")} & own
    }
    silent = names.keys() - declared(names, readme)
    rows = [usage for usage in usages if usage.name in silent]
    if rows:
        listed = ", ".join(sorted({usage.name for usage in rows})[:4])
        title = f"{side} uses models or services that its README does not name: {listed}"
        yield _finding(title, "weak", (rows, ()) if side == "A" else ((), rows))


def _one_loads_the_other(side: str, usages: Sequence[Usage], other: Snapshot) -> Iterator[Finding]:
    """Models of one side that are the other side itself, by its name on a hub."""
    label = other.label.lower()
    rows = [usage for usage in usages if "/" in label and usage.name.lower() == label]
    if rows:
        title = f"{side} builds on the other side itself: {rows[0].what} {rows[0].name}"
        yield _finding(title, "moderate", (rows, ()) if side == "A" else ((), rows))


def _prompts(a: Snapshot, b: Snapshot, context: Context) -> Iterator[Finding]:
    """Prompts, word for word on both sides, that are not the well-known ones."""
    prompts_a, prompts_b = _prompts_of(a, "a"), _prompts_of(b, "b")
    upstream = {text for snapshot in context.upstreams for text in _prompts_of(snapshot, "")}
    shared = [
        text
        for text in sorted(prompts_a.keys() & prompts_b.keys() - upstream)
        if not any(famous in text for famous in known().prompts)
    ]
    if shared:
        yield _finding(
            f"{count(len(shared), 'prompt')} word for word on both sides: {shared[0][:80]}",
            "moderate" if len(shared) >= 3 else "weak",
            (
                [Usage("prompts with", text[:400], prompts_a[text]) for text in shared],
                [Usage("prompts with", text[:400], prompts_b[text]) for text in shared],
            ),
            [text[:400] for text in shared],
        )


def _prompts_of(snapshot: Snapshot, side: str) -> dict[str, str]:
    """Long strings of the code that address a model, and where each first stands."""
    words, _ = read_words(snapshot, side)
    return {
        text: words.show(place)
        for text, place in words.places["string"].items()
        if len(text) >= SHORTEST_PROMPT and _PROMPT.search(text)
    }


def _data(a: Snapshot, b: Snapshot) -> Iterator[Finding]:
    """Retrieval, vector and training data that is the same to the byte."""
    theirs = {file.blob: file for file in b.files if _is_data(file)}
    pairs = [(file, theirs[file.blob]) for file in a.files if _is_data(file) and file.blob in theirs]
    if pairs:
        yield _finding(
            f"{count(len(pairs), 'data file')} on both sides: {PurePosixPath(pairs[0][0].path).name}",
            "weak" if len(pairs) < 3 else "moderate",
            (
                [Usage("holds the data", PurePosixPath(one.path).name, one.path) for one, _ in pairs],
                [Usage("holds the data", PurePosixPath(other.path).name, other.path) for _, other in pairs],
            ),
            [one.path for one, _ in pairs],
        )


def _is_data(file: File) -> bool:
    return _DATA.search(file.path) is not None and (file.size is None or file.size >= _SMALLEST_DATA)


def _readme(snapshot: Snapshot) -> str:
    paths = [
        file.path for file in snapshot.files if _README.search(file.path) and (file.size or 0) <= LARGEST
    ]
    return "\n".join(decode(data) for _, data in sorted(snapshot.read(paths).items()))


def _finding(
    title: str, strength: Strength, rows: tuple[Sequence[Usage], Sequence[Usage]], common: Sequence[str] = ()
) -> Finding:
    a, b = rows
    shown: list[Json] = list(common[:100])
    return Finding(
        kind="base",
        title=title,
        strength=strength,
        bits=0.0,
        a=_spans(a),
        b=_spans(b),
        details={
            "a": [[usage.what, usage.name, usage.place] for usage in a[:100]],
            "b": [[usage.what, usage.name, usage.place] for usage in b[:100]],
            "common": shown,
        },
    )


def _spans(usages: Sequence[Usage]) -> tuple[Span, ...]:
    spans: dict[str, Span] = {}
    for usage in usages:
        path, _, line = usage.place.rpartition(":")
        if path and line.isdecimal():
            spans.setdefault(path, Span(path, start_line=int(line), end_line=int(line)))
        else:
            spans.setdefault(usage.place, Span(usage.place))
    return tuple(spans.values())[:20]

"""Fingerprinting, spread over processes.

Files stay in the process that parsed them, since what one file defines is own in all others: every process
first declares its files, hears what the whole repository defines, and then fingerprints. The result does
not depend on the number of processes.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, TypeAlias

from detector.child import child
from detector.fingerprint.api import api
from detector.fingerprint.call import Helper
from detector.fingerprint.fingerprint import (
    Declared,
    Fingerprint,
    Prints,
    World,
    declare,
    fingerprints,
    helper,
)
from detector.fingerprint.module import Roots
from detector.fingerprint.packing import packed, unpacked
from detector.snapshot.model import Limits, Notice
from detector.unit.source import read_source
from detector.unit.tree import query

_log = logging.getLogger(__name__)
_SMALL = 200_000
"""bytes of code below which starting a process costs more than it saves"""
_NOTEBOOK = 20_000
"""bytes of code in a notebook, at most"""
_APART = 20_000
"""bytes of code that are walked in the time a process takes to start and to hand over what it found"""


@dataclass(frozen=True, slots=True)
class Job:
    """One file to fingerprint; `side` numbers the repository it belongs to."""

    side: int
    path: str
    blob: str
    content: bytes


Definitions: TypeAlias = "list[tuple[int, frozenset[str], list[tuple[str, str, int, str | None]]]]"
"""for each side: own names, and (function name, path, hash of its text, snippet or None) of its functions"""
Worlds: TypeAlias = "dict[int, tuple[frozenset[str], Roots, dict[str, tuple[str, str]]]]"
"""for each side: own names, import roots, helper name -> (path, snippet)"""
Result: TypeAlias = "tuple[list[tuple[int, str, int, list[Fingerprint]]], list[tuple[int, Notice]]]"


def fingerprinted(work: list[Job], sides: int, limits: Limits, processes: int = 1) -> list[Prints]:
    """Fingerprint files with some processes, each of the repositories by itself."""
    with _uncollected():
        if processes == 1 or sum(len(job.content) for job in work) < _SMALL:
            results = [_run_here(work, limits)]
        else:
            results = _run_apart(_shards(work, processes), limits)
    return _gathered(results, sides)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the collector of cycles: the walk makes none, and looking for them takes a tenth of its time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _shards(work: list[Job], count: int) -> list[list[Job]]:
    """Parts that take about the same time, largest files first; the first part is done in this process."""
    shards: list[list[Job]] = [[] for _ in range(count)]
    loads = [0, *[_APART] * (count - 1)]
    for job in sorted(work, key=lambda job: (-_load(job), job.side, job.path)):
        lightest = loads.index(min(loads))
        shards[lightest].append(job)
        loads[lightest] += _load(job)
    return [shard for shard in shards if shard]


def _load(job: Job) -> int:
    """About how many bytes of code a file holds; most of a large notebook is what its cells printed."""
    size = len(job.content)
    return 500 + (min(size, _NOTEBOOK) + size // 100 if job.path.endswith(".ipynb") else size)


def _work(jobs: Sequence[Job], limits: Limits) -> Generator[Definitions, Worlds, Result]:
    """What one process does: yields what its files define, is sent the worlds, returns the fingerprints."""
    declared: list[tuple[Job, Declared]] = []
    notices: list[tuple[int, Notice]] = []
    for job in jobs:
        source = read_source(job.path, job.content)
        file = declare(source, job.blob, limits.parse_seconds)
        if file is None:
            notices.append(
                (
                    job.side,
                    Notice(
                        f"hardly parses within --parse-seconds {limits.parse_seconds:g}; it was not compared",
                        job.path,
                    ),
                )
            )
            continue
        declared.append((job, file))
        for text in filter(None, (source.notice, file.syntax.notice)):
            notices.append((job.side, Notice(text, job.path)))
    sides = sorted({job.side for job in jobs})
    worlds = yield [
        _definitions(side, [file for job, file in declared if job.side == side]) for side in sides
    ]
    known = {side: _world(*worlds[side], limits) for side in sides}
    prints = []
    for job, file in declared:
        try:
            units = fingerprints(file, known[job.side])
        except RecursionError:
            notices.append((job.side, Notice("is nested too deeply; it was not compared", job.path)))
            continue
        except Exception as error:  # one file that nobody foresaw must not cost the others
            _log.exception("%s could not be fingerprinted", job.path)
            reason = f"{type(error).__name__}: {error}"[:200]
            notices.append((job.side, Notice(f"met an error ({reason}); it was not compared", job.path)))
            continue
        lines = file.syntax.source.text.count(b"\n") + 1
        prints.append((job.side, job.path, lines, units))
        skipped = sum(unit.skipped for unit in units)
        if skipped:
            notices.append(
                (job.side, Notice(f"{skipped} statements are nested too deeply and were left out", job.path))
            )
    return prints, notices


def _definitions(
    side: int, files: list[Declared]
) -> tuple[int, frozenset[str], list[tuple[str, str, int, str | None]]]:
    own: set[str] = set()
    functions: list[tuple[str, str, int, str | None]] = []
    for file in files:
        own |= file.found.own
        functions += file.functions()
    return side, frozenset(own), functions


def _merged(definitions: Sequence[Definitions], roots: Mapping[int, Roots]) -> Worlds:
    """What each repository defines; a helper must be the only function of its name."""
    own: dict[int, set[str]] = {side: set() for side in roots}
    bodies: dict[int, dict[str, set[int]]] = {side: {} for side in roots}
    snippets: dict[int, dict[str, tuple[str, str]]] = {side: {} for side in roots}
    for part in definitions:
        for side, names, functions in part:
            own[side] |= names
            for name, path, written, snippet in functions:
                bodies[side].setdefault(name, set()).add(written)
                if snippet is not None:
                    first = snippets[side].get(name)
                    snippets[side][name] = min(first, (path, snippet)) if first else (path, snippet)
    return {
        side: (
            frozenset(own[side]),
            roots[side],
            {name: found for name, found in sorted(snippets[side].items()) if len(bodies[side][name]) == 1},
        )
        for side in roots
    }


def _world(own: frozenset[str], roots: Roots, snippets: dict[str, tuple[str, str]], limits: Limits) -> World:
    """What files are walked with; a helper is read when it is first called, as most are by few files."""

    @cache
    def helper_of(name: str) -> Helper | None:
        if name not in snippets:
            return None
        path, snippet = snippets[name]
        file = declare(read_source(path.removesuffix(".ipynb"), snippet.encode()), "", limits.parse_seconds)
        return helper(name, file, roots) if file is not None else None

    return World(own, roots, helper_of)


def _roots(shards: Sequence[Sequence[Job]]) -> dict[int, Roots]:
    sides = sorted({job.side for shard in shards for job in shard})
    return {
        side: Roots.of(sorted(j.path for shard in shards for j in shard if j.side == side)) for side in sides
    }


def _run_here(jobs: Sequence[Job], limits: Limits) -> Result:
    work = _work(jobs, limits)
    definitions = next(work)
    try:
        work.send(_merged([definitions], _roots([jobs])))
    except StopIteration as end:
        result: Result = end.value
        return result
    raise AssertionError("a worker yields once")


def _run_apart(shards: list[list[Job]], limits: Limits) -> list[Result]:
    """One process for each shard but the first, which is done here."""
    here, *others = shards
    query("locals"), api()  # a forked process finds them made
    with ExitStack() as processes:
        pipes = [processes.enter_context(child(_serve, shard, limits)) for shard in others]
        work = _work(here, limits)
        definitions = [next(work), *(pipe.recv() for pipe in pipes)]
        worlds = _merged(definitions, _roots(shards))
        for pipe in pipes:
            pipe.send(worlds)
        results: list[Result] = []
        try:
            work.send(worlds)
        except StopIteration as end:
            results.append(end.value)
        return [*results, *map(_received, pipes)]


def _serve(pipe: Any, shard: list[Job], limits: Limits) -> None:
    work = _work(shard, limits)
    pipe.send(next(work))
    try:
        work.send(pipe.recv())
    except StopIteration as end:
        files, notices = end.value
        units = [unit for *_, found in files for unit in found]
        pipe.send(([(*about, len(found)) for *about, found in files], packed(units), notices))
    pipe.close()


def _received(pipe: Any) -> Result:
    """What another process sent: its files with the number of their units, all units, notices."""
    files, arrays, notices = pipe.recv()
    units = iter(unpacked(arrays))
    return [(*about, list(islice(units, count))) for *about, count in files], notices


def _gathered(results: Sequence[Result], sides: int) -> list[Prints]:
    gathered: list[Prints] = []
    for side in range(sides):
        files = sorted(
            (row for prints, _ in results for row in prints if row[0] == side), key=lambda row: row[1]
        )
        notices = sorted(
            (notice for _, found in results for at, notice in found if at == side),
            key=lambda notice: (notice.where, notice.message),
        )
        units = tuple(unit for _, _, _, found in files for unit in found)
        gathered.append(Prints(units, tuple(notices), sum(lines for _, _, lines, _ in files), len(files)))
    return gathered

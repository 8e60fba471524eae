"""The whole comparison: two sources in, a report out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.errors import UncribError
from detector.evidence.registry import BESIDE, INDEPENDENT, Context, chosen, finder
from detector.options import Options
from detector.phase import phase
from detector.snapshot import open_snapshot
from detector.snapshot.model import KEPT_BLOB, File, Notice, Snapshot
from detector.snapshot.readable import is_code, is_readable

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from detector.evidence.finding import Evidence
    from detector.report.model import Report

Progress = Callable[[str, int, int], None]
"""called with phase, done, total; total 0 means unknown. It may come from several threads."""

_SMALL = 200_000
"""bytes of both sides below which a second process costs more than it saves"""
_LARGEST_TEXT = 2**19
"""bytes of a file besides code that is read while the other source opens"""
_GIVE_WAY = 19
"""steps of niceness: what the classes beside code leave it the processors by"""
_log = logging.getLogger(__name__)


def compare(
    a: str | Snapshot,
    b: str | Snapshot,
    options: Options | None = None,
    progress: Progress = lambda phase, done, total: None,
) -> Report:
    """Compare two repositories and report what they share beyond coincidence.

    `a` and `b` are sources as docs/sources.md describes them, or snapshots that are already open.
    Raises UncribError with one plain sentence where a source or an option is wrong.
    """
    options = options or Options()
    names = chosen(options)
    with phase("open"):
        first, second, *upstreams = _opened((a, b, *options.upstream), options, progress)
    context = Context(options, tuple(upstreams), progress=progress)
    evidence = _independent([name for name in names if name in INDEPENDENT], first, second, context)
    for at, name in enumerate(names):
        if name not in evidence:
            earlier = {each: evidence[each] for each in names[:at]}
            evidence[name] = _found(name, first, second, replace(context, earlier=earlier))
    with phase("report"):
        from detector.report.assemble import assemble  # noqa: PLC0415  keeps `uncrib --help` quick

        found = {name: evidence[name] for name in names}
        return assemble(first, second, upstreams, found, options)


def _opened(sources: Sequence[str | Snapshot], options: Options, progress: Progress) -> list[Snapshot]:
    """Open each source once, all at the same time: most of it is waiting for git or the network."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  keeps `uncrib --help` quick

    wanted = list(dict.fromkeys(source for source in sources if isinstance(source, str)))
    pool = ThreadPoolExecutor(max_workers=max(1, len(wanted)))
    try:
        futures = {source: pool.submit(_opened_and_read, source, options, progress) for source in wanted}
        if "code" in chosen(options):
            finder("code", options)  # loading it takes as long as git does
        snapshots: Mapping[str, Snapshot] = {source: future.result() for source, future in futures.items()}
    finally:
        # without waiting: after an error or Ctrl-C nobody needs what the other source would bring
        pool.shutdown(wait=False, cancel_futures=True)
    return [snapshots[source] if isinstance(source, str) else source for source in sources]


def _opened_and_read(source: str, options: Options, progress: Progress) -> Snapshot:
    """Open a source and read its text, which nearly all classes ask for, while the other source opens."""
    snapshot = open_snapshot(source, options, progress)
    snapshot.read(file.path for file in snapshot.files if _is_wanted_by_many(file))
    return snapshot


def _is_wanted_by_many(file: File) -> bool:
    """Whether nearly all classes ask for a file: code, and other text that is not data."""
    largest = KEPT_BLOB if is_code(file.path) else _LARGEST_TEXT
    return is_readable(file.path) and (file.size or 0) <= largest


def _independent(names: Sequence[str], a: Snapshot, b: Snapshot, context: Context) -> dict[str, Evidence]:
    """Run classes that need nothing of each other: code here, the others in processes beside it."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  keeps `uncrib --help` quick

    from detector import child  # noqa: PLC0415

    groups = [tuple(name for name in group if name in names) for group in BESIDE]
    groups = [group for group in groups if group]
    size = sum(file.size or 0 for file in (*a.files, *b.files))
    alone = context.options.jobs == 1 or size < _SMALL or not child.possible()
    if alone or "code" not in names or not groups:
        return {name: _found(name, a, b, context) for name in names}
    with ExitStack() as processes:
        pool = processes.enter_context(ThreadPoolExecutor(max_workers=len(groups)))
        beside = []
        for group in groups:
            pipe = processes.enter_context(child.child(_serve, group, a, b, context))
            beside.append(pool.submit(_received, pipe, group, context.progress))
        evidence = {"code": _found("code", a, b, context)}
        for found in beside:
            evidence |= found.result()
        return evidence


def _serve(pipe: Connection, names: Sequence[str], a: Snapshot, b: Snapshot, context: Context) -> None:
    """In the other process: send each class's evidence, progress on the way, and an UncribError as text.

    It gives way to the code class, which has work for all processors at first and for one at its end.
    """
    if hasattr(os, "nice"):
        os.nice(_GIVE_WAY)
    context = replace(context, progress=lambda *step: pipe.send(step))
    for name in names:
        try:
            pipe.send({name: _found(name, a, b, context)})
        except UncribError as error:
            pipe.send(str(error))


def _received(pipe: Connection, names: Sequence[str], progress: Progress) -> dict[str, Evidence]:
    """The evidence of the classes that run beside; a warning for those whose process ended too early."""
    evidence: dict[str, Evidence] = {}
    while len(evidence) < len(names):
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            break
        if isinstance(message, str):
            raise UncribError(message)
        if isinstance(message, dict):
            evidence |= message
        else:
            progress(*message)
    return {name: evidence.get(name) or _stopped(name, "its process ended early") for name in names}


def _found(name: str, a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Run one class. An error that it did not foresee costs its findings, and a warning, but not the run."""
    started = time.perf_counter()
    try:
        found = finder(name, context.options)(a, b, context)
    except UncribError:
        raise
    except Exception as error:
        _log.exception("the evidence class %s stopped", name)
        return _stopped(name, f"{type(error).__name__}: {error}"[:200])
    _log.info("%s: %.2f s, %d findings", name, time.perf_counter() - started, len(found.findings))
    return found


def _stopped(name: str, reason: str) -> Evidence:
    from detector.evidence.finding import Evidence  # noqa: PLC0415  loaded while the sources open

    message = f"the evidence class stopped on an error, its findings are missing ({reason})"
    return Evidence(notices=(Notice(message, name),), stopped=True)

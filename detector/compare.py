"""The whole comparison: two sources in, a report out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from detector.errors import UncribError
from detector.evidence.finding import Evidence
from detector.evidence.registry import Context, Find, chosen
from detector.options import Options
from detector.report.model import Report
from detector.snapshot import open_snapshot
from detector.snapshot.model import Notice, Snapshot

Progress = Callable[[str, int, int], None]
"""called with phase, done, total; total 0 means unknown. It may come from several threads."""

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
    from detector.report.assemble import assemble  # noqa: PLC0415  keeps `uncrib --help` quick

    options = options or Options()
    classes = list(chosen(options))
    started = time.perf_counter()
    first, second, *upstreams = _opened((a, b, *options.upstream), options, progress)
    _log.info("open: %.2f s", time.perf_counter() - started)
    evidence: dict[str, Evidence] = {}
    for name, find in classes:
        context = Context(options, tuple(upstreams), dict(evidence), progress)
        evidence[name] = _found(name, find, first, second, context)
    started = time.perf_counter()
    report = assemble(first, second, upstreams, evidence, options)
    _log.info("report: %.2f s", time.perf_counter() - started)
    return report


def _opened(sources: Sequence[str | Snapshot], options: Options, progress: Progress) -> list[Snapshot]:
    """Open each source once, all at the same time: most of it is waiting for git or the network."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  keeps `uncrib --help` quick

    wanted = list(dict.fromkeys(source for source in sources if isinstance(source, str)))
    pool = ThreadPoolExecutor(max_workers=max(1, len(wanted)))
    try:
        futures = {source: pool.submit(open_snapshot, source, options, progress) for source in wanted}
        snapshots: Mapping[str, Snapshot] = {source: future.result() for source, future in futures.items()}
    finally:
        # without waiting: after an error or Ctrl-C nobody needs what the other source would bring
        pool.shutdown(wait=False, cancel_futures=True)
    return [snapshots[source] if isinstance(source, str) else source for source in sources]


def _found(name: str, find: Find, a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Run one class. An error that it did not foresee costs its findings, and a warning, but not the run."""
    started = time.perf_counter()
    try:
        found = find(a, b, context)
    except UncribError:
        raise
    except Exception as error:
        _log.exception("the evidence class %s stopped", name)
        reason = f"{type(error).__name__}: {error}"[:200]
        return Evidence(
            notices=(
                Notice(f"the evidence class stopped on an error, its findings are missing ({reason})", name),
            )
        )
    _log.info("%s: %.2f s, %d findings", name, time.perf_counter() - started, len(found.findings))
    return found

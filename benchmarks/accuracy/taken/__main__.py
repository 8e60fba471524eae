"""Public repositories under other names: `python -m benchmarks.accuracy.taken [--mirror DIR]`.

Each repository of the crowd is laid out anew, half of its names or all are replaced, and the result is
compared with it. Then one file alone (of those of ordinary size the one that defines most) is put beside the
files of a program that has nothing to do with it. What remains weak was taken from common public code, which
is set apart, or is too little.
"""

from __future__ import annotations

import argparse
import ast
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.accuracy.crowd.__main__ import sources
from benchmarks.accuracy.ladder.naming import reformatted
from benchmarks.accuracy.mirror import opened
from benchmarks.accuracy.page import table, write_section
from benchmarks.accuracy.renamed.names import other_names, replaced
from detector import compare
from detector.options import Options
from detector.report.wording import STRENGTHS
from detector.snapshot import Snapshot

HOST = "pranz24/pytorch-soft-actor-critic"
"""the program beside whose files one of another is put"""
SHARES = (0.5, 1.0)
_LINES = range(100, 500)
_OPTIONS = Options(history=False)


def main() -> None:
    """Compare and write the section of docs/accuracy.md."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mirror", type=Path)
    mirror = options.parse_args().mirror
    snapshots = {source.partition("@")[0]: opened(source, mirror, _OPTIONS) for source in sources()}
    host = {f"host/{path}": text for path, text in _files(snapshots[HOST]).items()}
    rows = [row for name, snapshot in snapshots.items() for row in _row(name, snapshot, host)]
    heads = [f"{what}, {share:.0%}" for what in ("whole", "one file") for share in SHARES]
    columns = [Counter(row[at] for row in rows) for at in (1, 2, 4, 5)]
    counted = [
        (verdict, *(column[verdict] or "" for column in columns))
        for verdict in reversed(STRENGTHS)
        if any(column[verdict] for column in columns)
    ]
    write_section(
        "taken",
        table(["verdict", *(f"{head}:" for head in heads)], counted)
        + "\n\n"
        + table(["repository", *heads[:2], "file", *heads[2:], "bits of it:", "set apart:"], rows),
    )


def _row(name: str, snapshot: Snapshot, host: Mapping[str, str]) -> Iterator[tuple[object, ...]]:
    """The verdicts on one repository; nothing where it holds no file of ordinary size, or is the host."""
    files = _files(snapshot)
    ordinary = {path: text for path, text in files.items() if text.count("\n") in _LINES}
    if not ordinary or name == HOST:
        return
    path = max(ordinary, key=lambda path: _definitions(ordinary[path]))
    taken = {path: files[path]}
    whole = [_verdict(snapshot, files, {}, share)[0] for share in SHARES]
    alone = [_verdict(snapshot, taken, host, share) for share in SHARES]
    yield name, *whole, path, *(verdict for verdict, *_ in alone), *alone[-1][1:]


def _verdict(
    snapshot: Snapshot, files: Mapping[str, str], host: Mapping[str, str], share: float
) -> tuple[str, str, int]:
    """The verdict on files under other names beside a host's, bits of the code found, findings set apart."""
    new = other_names(files, share, snapshot.label)
    with tempfile.TemporaryDirectory() as folder:
        renamed = {f"taken/{path}": replaced(text, new) for path, text in files.items()}
        for path, text in {**renamed, **host}.items():
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        report = compare(snapshot, folder, _OPTIONS)
    code = [finding for finding in report.findings if finding.kind == "code"]
    bits = sum(finding.bits for finding in code if not finding.explained_by)
    return report.summary.verdict, f"{bits:,.0f}", sum(bool(finding.explained_by) for finding in code)


def _files(snapshot: Snapshot) -> dict[str, str]:
    """The Python files of a repository that Python 3 parses, laid out anew."""
    contents = snapshot.read(file.path for file in snapshot.files if file.path.endswith(".py"))
    files = {}
    for path, content in contents.items():
        try:
            files[path] = reformatted(content.decode())
        except (SyntaxError, ValueError):
            continue
    return files


def _definitions(text: str) -> int:
    return sum(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in ast.walk(ast.parse(text)))


if __name__ == "__main__":
    main()

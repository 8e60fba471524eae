"""Copies in which only a part of the names was replaced: `python -m benchmarks.accuracy.renamed`.

Each first hand's work (benchmarks/honest) is laid out anew, its comments are dropped, and a share of the
names that it gives (functions, classes, attributes, arguments, variables), drawn at random, is replaced
throughout. The verdict on the copy beside the original should not depend on how large that share is.
"""

from __future__ import annotations

import builtins
import keyword
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from random import Random
from tokenize import NAME, STRING, generate_tokens, untokenize

from benchmarks.accuracy.ladder.naming import reformatted
from benchmarks.accuracy.page import table, write_section
from detector import compare
from detector.fingerprint.api import api
from detector.fingerprint.fingerprint import declare
from detector.options import Options
from detector.report.wording import STRENGTHS
from detector.unit.source import read_source

TOPICS = Path("benchmarks/honest")
SHARES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 1.0)
_OPTIONS = Options(history=False, jobs=1)
_KEPT = {*dir(builtins), *keyword.kwlist, "self", "cls"}


def given_names(files: Mapping[str, str]) -> list[str]:
    """The names that a program gives: what others define, frameworks call, or is special keeps its own."""
    names: set[str] = set()
    imported: set[str] = set()
    for path, text in files.items():
        declared = declare(read_source(path, text.encode()))
        if declared is None:
            raise SystemExit(f"{path} does not parse")
        names |= declared.found.own
        names |= {name for scope in declared.found.scopes for name in scope.names}
        imported |= {item.name for item in declared.found.imports}
    return sorted(
        name for name in names - imported - _KEPT - api().hooks - api().receivers if name[:2] != "__"
    )


def replaced(text: str, names: Mapping[str, str]) -> str:
    """A program's text with other names, also within f-strings."""

    def other(word: str) -> str:
        return re.sub(r"[^\W\d]\w*", lambda found: names.get(found[0], found[0]), word)

    tokens = generate_tokens(StringIO(text).readline)
    changed = [
        (kind, other(word) if kind == NAME or (kind == STRING and word[:1] in "fF") else word)
        for kind, word, *_ in tokens
    ]
    return str(untokenize(changed))


def verdicts(topic: Path) -> Iterable[str]:
    """The verdict for each share of the names."""
    files = {path.name: reformatted(path.read_text()) for path in sorted((topic / "hand_one").glob("*.py"))}
    names = given_names(files)
    Random(topic.name).shuffle(names)
    for share in SHARES:
        new = {name: f"{name[0]}q{at}" for at, name in enumerate(names[: round(share * len(names))])}
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(replaced(text, new))
            yield compare(str(topic / "hand_one"), folder, _OPTIONS).summary.verdict


def main() -> None:
    """Compare and write the table."""
    topics = sorted(path for path in TOPICS.iterdir() if path.is_dir())
    found = {topic.name: list(verdicts(topic)) for topic in topics}
    heads = [f"{share:.0%}" for share in SHARES]
    counts = [Counter(column) for column in zip(*found.values(), strict=True)]
    rows = [
        (verdict, *(count[verdict] or "" for count in counts))
        for verdict in reversed(STRENGTHS)
        if any(count[verdict] for count in counts)
    ]
    write_section(
        "renamed",
        table(["verdict", *(f"{head}:" for head in heads)], rows)
        + "\n\n"
        + table(["topic", *heads], [(topic, *several) for topic, several in found.items()]),
    )


if __name__ == "__main__":
    main()

"""Copies in which only a part of the names was replaced: `python -m benchmarks.accuracy.renamed`.

Each first hand's work (benchmarks/honest) is laid out anew, its comments are dropped, and a share of the
names that it gives (functions, classes, attributes, arguments, variables), drawn at random, is replaced
throughout. The verdict on the copy beside the original should not depend on how large that share is. Then the
rewrites of the laundering ladder are done to the whole of it besides, level upon level.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.accuracy.ladder.laundry import launder
from benchmarks.accuracy.ladder.naming import reformatted
from benchmarks.accuracy.page import table, write_section
from benchmarks.accuracy.renamed.names import other_names, replaced
from detector import compare
from detector.evidence.finding import Strength
from detector.options import Options
from detector.report.wording import STRENGTHS

TOPICS = Path("benchmarks/honest")
SHARES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 1.0)
REWRITTEN = (0.2, 0.5, 1.0)
"""shares at which the copies are rewritten besides"""
_OPTIONS = Options(history=False, jobs=1)


def verdicts(topic: Path) -> Iterable[str]:
    """The verdict for each share of the names."""
    files = {path.name: reformatted(path.read_text()) for path in sorted((topic / "hand_one").glob("*.py"))}
    for share in SHARES:
        new = other_names(files, share, topic.name)
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(replaced(text, new))
            yield compare(str(topic / "hand_one"), folder, _OPTIONS).summary.verdict


def rewritten(topic: Path) -> Iterable[tuple[int, float, Strength]]:
    """The verdict for each level of rewriting and each share of the names."""
    files = {path.name: path.read_text() for path in sorted((topic / "hand_one").glob("*.py"))}
    for share in REWRITTEN:
        for level, copy in enumerate(launder(files, topic.name, share), 1):
            with tempfile.TemporaryDirectory() as folder:
                for name, text in copy.files.items():
                    (Path(folder) / name).write_text(text)
                yield level, share, compare(str(topic / "hand_one"), folder, _OPTIONS).summary.verdict


def _by_level(topics: Iterable[Path]) -> str:
    """How many topics get which verdict, level by level."""
    counts: Counter[tuple[int, float, Strength]] = Counter()
    for topic in topics:
        try:
            counts.update(list(rewritten(topic)))
        except SyntaxError:
            continue  # this Python does not read what the rewriting writes for it
    rows = [
        (level, verdict, *(counts[level, share, verdict] or "" for share in REWRITTEN))
        for level in sorted({level for level, *_ in counts})
        for verdict in reversed(STRENGTHS)
        if any(counts[level, share, verdict] for share in REWRITTEN)
    ]
    return table(["level", "verdict", *(f"{share:.0%}:" for share in REWRITTEN)], rows)


def main() -> None:
    """Compare and write the tables."""
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
        + _by_level(topics)
        + "\n\n"
        + table(["topic", *heads], [(topic, *several) for topic, several in found.items()]),
    )


if __name__ == "__main__":
    main()

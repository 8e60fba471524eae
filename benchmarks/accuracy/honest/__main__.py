"""Compare every first hand with the others and with its copies: `python -m benchmarks.accuracy.honest`.

The hands worked from the same specification and saw none of each other's code (benchmarks/honest). Their
verdict must lie below that of every copy, and not hang by one file. Another hand's work beside a copy of the
first hand's is compared as well. The README of each folder says which is which: it is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

from benchmarks.accuracy.page import table, write_section
from detector import compare
from detector.evidence.finding import Finding
from detector.evidence.leftover.numbers import Common, by_chance, common_numbers, rarity, values
from detector.evidence.words import Words, read_words
from detector.options import Options
from detector.report.model import Report
from detector.report.verdict import Weight, counts, independent, weigh
from detector.report.wording import STRENGTHS, scale_step
from detector.snapshot import Snapshot, open_snapshot

TOPICS = Path("benchmarks/honest")
SOURCE = "hand_one"
HAND = "hand_"
"""what the folders of honest hands begin with"""
HABITS = ("diffusion_unet", "dual_encoder", "graph_network", "point_cloud", "ppo_agent",
          "speech_ctc", "tabular_transformer", "text_lm", "vision_resampler")  # fmt: skip
"""topics whose hands were told to write as certain programmers"""
APART = "hand_four"
"""a hand of other topics that was told so"""
RARITIES = (0, 4, 5, 6, 7, 8, 9, 10, 12, 30)
"""bits of a number, by which agreement is counted"""
_OPTIONS = Options(history=False, jobs=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One comparison of two folders of a topic; `one` is a hand's own work."""

    topic: str
    one: str
    other: str
    report: Report
    weight: Weight
    numbers: Common
    agreed: tuple[tuple[float, bool], ...]
    """of each number that either folder holds its bits, and whether both hold it"""

    @property
    def honest(self) -> bool:
        """Whether both folders are hands' own work."""
        return self.other.startswith(HAND)

    @property
    def twins(self) -> bool:
        """Whether one language model wrote both hands' work in its own way."""
        return self.honest and self.topic not in HABITS and APART not in (self.one, self.other)

    @property
    def step(self) -> int:
        """The verdict's place on the scale."""
        return scale_step(self.report.summary.verdict)


def outcomes(one: str, leaving: tuple[str, ...] = ()) -> Iterator[Outcome]:
    """Of every topic the folder `one`, where it is, against each other folder but those to leave out."""
    for topic in sorted(path for path in TOPICS.iterdir() if (path / one).is_dir()):
        source = _without_readme(topic / one)
        words = read_words(source, "")[0]
        for folder in sorted(path for path in topic.iterdir() if path.is_dir()):
            if folder.name not in (one, *leaving):
                other = _without_readme(folder)
                report = compare(source, other, _OPTIONS)
                alone = independent(finding for finding in report.findings if counts(finding))
                shares = report.summary.share_a, report.summary.share_b
                weight = weigh(alone, report.renames, shares)
                theirs = read_words(other, "")[0]
                numbers = common_numbers(words, theirs, ())
                yield Outcome(
                    topic.name, one, folder.name, report, weight, numbers, tuple(_agreed(words, theirs))
                )


def _agreed(a: Words, b: Words) -> Iterator[tuple[float, bool]]:
    held = values(a).keys(), values(b).keys()
    for number, bits in rarity(held[0] | held[1], (a, b)).items():
        yield bits, number in held[0] and number in held[1]


def _without_readme(folder: Path) -> Snapshot:
    snapshot = open_snapshot(str(folder), _OPTIONS)
    return replace(snapshot, files=tuple(file for file in snapshot.files if file.path != "README.md"))


def _row(outcome: Outcome) -> tuple[object, ...]:
    weight, summary = outcome.weight, outcome.report.summary
    apart = sum(bool(finding.explained_by) for finding in outcome.report.findings)
    names, text, convergent = _writing(outcome.report)
    return (
        outcome.topic,
        f"**{outcome.other}**" if outcome.honest else outcome.other,
        summary.verdict,
        weight.findings,
        apart,
        weight.moderate,
        weight.strong,
        f"{weight.bits:.0f}",
        f"{weight.best:.0f}",
        f"{summary.share_a:.0%}",
        f"{summary.share_b:.0%}",
        f"{weight.consistency:.0%}",
        f"{names:.0%}",
        f"{text:.0%}",
        convergent,
        len(outcome.numbers.written_b),
        f"{outcome.numbers.only_a + outcome.numbers.only_b}",
        f"{outcome.numbers.link:.0f}",
    )


def _writing(report: Report) -> tuple[float, float, int]:
    """Of the code that nothing explains: share of names kept, share of bits in text that was kept, and how
    many findings are convergent.
    """
    code = [finding for finding in report.findings if finding.kind == "code" and not finding.explained_by]
    kept, replaced = (sum(_number(f, key) for f in code) for key in ("names_kept", "names_replaced"))
    text = sum(f.bits * _number(f, "text_kept") for f in code)
    convergent = sum(finding.details["convergent"] is True for finding in code)
    return kept / ((kept + replaced) or 1.0), text / (sum(f.bits for f in code) or 1.0), convergent


def _number(finding: Finding, key: str) -> float:
    value = finding.details[key]
    return float(value) if isinstance(value, (int, float)) else 0.0


def _separated(found: list[Outcome], crossed: list[Outcome]) -> str:
    """Depth by depth: copies with a higher verdict than honest pairs, and the highest of crossed pairs."""
    honest = {
        outcome.topic: outcome.step for outcome in sorted(found, key=attrgetter("step")) if outcome.honest
    }
    rows = []
    for depth in sorted({outcome.other for outcome in found if not outcome.honest}):
        copies = [outcome for outcome in found if outcome.other == depth]
        above = sum(outcome.step > honest[outcome.topic] for outcome in copies)
        overall = sum(outcome.step > max(honest.values()) for outcome in copies)
        beside = [outcome for outcome in crossed if outcome.other == depth]
        rows.append((depth, len(copies), above, overall, _verdicts(beside)))
    heads = ("depth", "copies:", "above their honest pairs:", "above every honest pair:",
             "other hands against these copies")  # fmt: skip
    return table(heads, rows)


def _chosen_alike(found: list[Outcome]) -> str:
    """Of the numbers that either folder of a pair holds, the part that both hold, by rarity and kind."""
    copies = sorted({outcome.other for outcome in found if not outcome.honest})
    kinds: dict[str, list[Outcome]] = {
        **{depth: [outcome for outcome in found if outcome.other == depth] for depth in copies},
        "hands of different habits": [o for o in found if o.honest and not o.twins],
        "twins": [o for o in found if o.twins],
    }
    rows = []
    for low, high in pairwise(RARITIES):
        within = (
            [both for outcome in several for bits, both in outcome.agreed if low <= bits < high]
            for several in kinds.values()
        )
        parts = [f"{sum(both) / len(both):.0%} of {len(both)}" if both else "" for both in within]
        rows.append((f"{low} to {high}", *parts, f"{by_chance((low + high) / 2):.0%}"))
    return table(("bits of the number", *(f"{kind}:" for kind in kinds), "u:"), rows)


def _short_of_a_file(pair: Outcome) -> Iterator[str]:
    """Verdicts on two folders where one lacks a file, each file in turn (the jackknife: Quenouille 1956)."""
    one, other = (_without_readme(TOPICS / pair.topic / name) for name in (pair.one, pair.other))
    for left, right in ((one, other), (other, one)):
        for missing in left.files:
            if missing.path.endswith(".py"):
                rest = replace(left, files=tuple(file for file in left.files if file != missing))
                yield compare(rest, right, _OPTIONS).summary.verdict


def _verdicts(several: list[Outcome]) -> str:
    """How many got which verdict."""
    return _counted(outcome.report.summary.verdict for outcome in several)


def _counted(verdicts: Iterable[str]) -> str:
    counts = Counter(verdicts)
    return ", ".join(f"{counts[word]} {word}" for word in STRENGTHS if counts[word])


def main() -> None:
    """Write the section."""
    found = list(outcomes(SOURCE))
    hands = sorted({outcome.other for outcome in found if outcome.honest})
    crossed = [outcome for at, hand in enumerate(hands) for outcome in outcomes(hand, (SOURCE, *hands[:at]))]
    heads = ("topic", "first hand against", "verdict", "independent findings:", "set apart:", "moderate:",
             "strong:", "bits:", "best:", "share of A:", "share of B:", "one renaming:",
             "names kept:", "text kept:", "convergent:", "numbers:", "on one side:", "link:")  # fmt: skip
    pairs = [outcome for outcome in (*found, *crossed) if outcome.honest]
    short = [verdict for pair in pairs for verdict in _short_of_a_file(pair)]
    said = (
        f"{len(pairs)} pairs of honest hands: {_verdicts(pairs)}. With one file missing on either side,"
        f" each in turn, {len(short)} comparisons: {_counted(short)}."
    )
    write_section(
        "honest",
        "\n\n".join((said, table(heads, map(_row, found)), _separated(found, crossed), _chosen_alike(found))),
    )


if __name__ == "__main__":
    main()

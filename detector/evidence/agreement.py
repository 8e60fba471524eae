"""Agreement: do the renames that the classes found apart from each other tell one story?

A class renamed in code, a prefix renamed in the weights, a key renamed in a config and a file renamed are
seen by different means. Where they rename the same word to the same other word, they vouch for each other.
What agrees, and what contradicts, is a finding of its own; docs/evidence/agreement.md states the scale.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from detector.evidence.finding import Evidence, Finding, Json, Reason, Rename, Site, Span, Strength
from detector.evidence.registry import Context
from detector.snapshot.model import Snapshot

_CODE_KINDS = frozenset({"class", "attribute", "function", "module"})
"""renames of code that other classes could see too; parameters and variables live in code alone"""
_BITS = 8.0
"""bits of one word's rename that a second class confirms, without the bits that the classes count
themselves
"""
_LISTED = 200
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class _Change:
    """One class's word for word: `source` is the class, `a` and `b` the words as lower-case parts joined by
    `_`.
    """

    source: str
    a: str
    b: str
    shown_a: str
    shown_b: str
    sites: int
    rename: Rename


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Lay the renames of the classes that ran before beside each other."""
    changes = list(_changes(context))
    sources: dict[tuple[str, str], set[str]] = defaultdict(set)
    for change in changes:
        sources[change.a, change.b].add(change.source)
    confirmed = {pair for pair, seen in sources.items() if len(seen) > 1}
    if not confirmed:
        return Evidence()
    agreeing = [change for change in changes if (change.a, change.b) in confirmed]
    contradicting = list(_contradictions(changes, confirmed))
    return Evidence((_finding(agreeing, contradicting, {pair: sources[pair] for pair in confirmed}),))


def _changes(context: Context) -> Iterator[_Change]:
    """Every rename that a class reports, once, and the files behind counting code findings."""
    for name, evidence in context.earlier.items():
        found = {
            (rename.kind, rename.a, rename.b): rename
            for finding in evidence.findings
            for rename in finding.renames
        }
        found |= {(rename.kind, rename.a, rename.b): rename for rename in evidence.renames}
        for rename in found.values():
            if rename.kind == "file":
                stems = PurePosixPath(rename.a).stem, PurePosixPath(rename.b).stem
                yield from _change("file", replace(rename, a=stems[0], b=stems[1]))
            elif name != "code" or rename.kind in _CODE_KINDS:
                yield from _change("file" if rename.kind == "module" else name, rename)
    for rename in _files(context):
        yield from _change("file", rename)


def _change(source: str, rename: Rename) -> Iterator[_Change]:
    """The rename between the last words of both names, where they differ: `projection.` -> `resampler.`."""
    shown = [name.rstrip(".").rpartition(".")[2] for name in (rename.a, rename.b)]
    words = [_word(name) for name in shown]
    if all(words) and words[0] != words[1] and "*" not in shown:
        yield _Change(source, words[0], words[1], rename.a, rename.b, max(1, rename.agreeing), rename)


def _word(name: str) -> str:
    """`LlavaResampler`, `llava_resampler` and `llava-resampler` are one word."""
    return "_".join(part.lower() for part in _PART.findall(name))


def _files(context: Context) -> list[Rename]:
    """File names that stand opposite each other in counting findings: the partner that most findings name."""
    code = context.earlier.get("code")
    votes: dict[str, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for finding in code.findings if code is not None else ():
        if finding.a and finding.b and not finding.explained_by:
            votes[finding.a[0].path][finding.b[0].path].append(finding.a[0])
    renames = []
    for path, partners in sorted(votes.items()):
        partner, spans = max(partners.items(), key=lambda entry: (len(entry[1]), entry[0]))
        others = sum(map(len, partners.values())) - len(spans)
        if len(spans) > others:
            site = Site(path, 1, partner, 1)
            stems = (PurePosixPath(path).stem, PurePosixPath(partner).stem)
            renames.append(Rename("file", *stems, agreeing=len(spans), contradicting=others, sites=(site,)))
    return renames


def _contradictions(changes: Iterable[_Change], confirmed: set[tuple[str, str]]) -> Iterator[_Change]:
    """Renames of a confirmed word of A to another word of B, by a class that does not also confirm it."""
    target = dict(confirmed)
    changes = list(changes)
    confirming = {(change.source, change.a) for change in changes if (change.a, change.b) in confirmed}
    for change in changes:
        if (
            change.a in target
            and change.b != target[change.a]
            and (change.source, change.a) not in confirming
        ):
            yield change


def _finding(
    agreeing: list[_Change], contradicting: list[_Change], sources: Mapping[tuple[str, str], set[str]]
) -> Finding:
    """Which words several classes rename alike."""
    pairs = sorted(sources, key=lambda pair: (-len(sources[pair]), pair))
    named = ", ".join(f"{a} -> {b} ({', '.join(sorted(sources[a, b]))})" for a, b in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    title = f"renames agree across kinds of evidence: {named}{more}"
    if contradicting:
        title += f"; {len(contradicting)} contradict"
    rows: list[Json] = [
        [change.source, change.shown_a, change.shown_b, change.sites]
        for change in sorted(agreeing, key=lambda change: (change.a, change.b, change.source, change.shown_a))
    ]
    rows += [
        [f"{change.source}, contradicting", change.shown_a, change.shown_b, change.sites]
        for change in contradicting
    ]
    bits = sum(_BITS * (len(sources[pair]) - 1) for pair in pairs) - _BITS * len(contradicting)
    sites = [site for change in agreeing for site in change.rename.sites]
    return Finding(
        "agreement",
        title,
        _strength(sources, len(contradicting)),
        max(0.0, bits),
        tuple(dict.fromkeys(Span(site.a_path, "", site.a_line, site.a_line) for site in sites))[:20],
        tuple(dict.fromkeys(Span(site.b_path, "", site.b_line, site.b_line) for site in sites))[:20],
        renames=tuple(dict.fromkeys(change.rename for change in agreeing)),
        reasons=tuple(
            Reason(
                f"{a} became {b} in {' and '.join(sorted(sources[a, b]))}", _BITS * (len(sources[a, b]) - 1)
            )
            for a, b in pairs[:40]
        ),
        details={"rows": rows[:_LISTED]},
    )


def _strength(sources: Mapping[tuple[str, str], set[str]], contradicting: int) -> Strength:
    """Code and file names alone are "weak", as both rest on the same matches; others must join."""
    apart = [seen for seen in sources.values() if seen - {"code", "file"}]
    if not apart or contradicting > len(sources):
        return "weak"
    return (
        "strong"
        if len(apart) >= 2 and any(len(seen) >= 3 for seen in apart) and not contradicting
        else "moderate"
    )

"""History: which revision of the other side fits best, who held the matched parts first, what came later.

It follows what the classes before it matched, by content, not by path. docs/evidence/history.md states what
commit dates can and cannot say, and the scale of strengths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from detector.evidence.chronicle.lineage import Fit, Lineage, best_fit
from detector.evidence.chronicle.order import Direction, Held, direction
from detector.evidence.chronicle.shingles import Shingler, Shingles
from detector.evidence.chronicle.side import SMALL_COMMITS, Past, lineages, past
from detector.evidence.chronicle.terms import best_fit_by_terms
from detector.evidence.finding import Event, Evidence, Finding, Json, Reason, Span, Strength
from detector.evidence.registry import Context
from detector.snapshot.history import Commit
from detector.snapshot.model import Notice, Snapshot

_FOLLOWED = ("code", "identical", "config", "tokenizer")
"""classes whose findings are followed"""
_MATCHES = 300
_LEAST = 12
"""shingles that a part needs to be recognised in another version"""
_HELD = 0.9
"""share of a part's shingles that a file must hold to hold the part"""
_FILE_BITS = 500.0
"""the most that one file weighs when revisions are compared"""
_LISTED = 40


@dataclass(frozen=True, slots=True)
class _Match:
    """One matched place on either side, with its bits."""

    a: Span
    b: Span
    bits: float


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Follow what was matched through both histories."""
    matches = _matches(context)
    if context.options.history is False or not matches or not (a.git_dir and b.git_dir):
        return Evidence()
    eager = context.options.history is True
    suffixes = {PurePosixPath(span.path).suffix for match in matches for span in (match.a, match.b)} - {""}
    pasts = (
        past(a, "a", {match.a.path for match in matches}, suffixes, eager),
        past(b, "b", {match.b.path for match in matches}, suffixes, eager),
    )
    large = [side for side in pasts if not side.is_small]
    if large and not eager:
        return Evidence(notices=tuple(_not_read(side) for side in large))
    lineage_a, lineage_b, shingler = lineages(*pasts)
    notices = tuple(notice for side in pasts for notice in side.notices)
    held = _held(matches, (a, b), (lineage_a, lineage_b), shingler)
    if not held:
        return Evidence(notices=notices)
    order = direction(held, (lineage_a, lineage_b))
    earlier = order.earlier or "b"
    sides = ((a, lineage_a), (b, lineage_b)) if earlier == "b" else ((b, lineage_b), (a, lineage_a))
    fit = _fit(*sides, _weights(matches, earlier))
    events = _events(held, (lineage_a, lineage_b), fit, earlier)
    if fit is None:
        return Evidence(notices=notices, events=events)
    return Evidence((_finding(matches, held, order, fit, sides),), notices=notices, events=events)


def _matches(context: Context) -> list[_Match]:
    found = [
        _Match(finding.a[0], finding.b[0], max(finding.bits, 1.0))
        for name in _FOLLOWED
        if name in context.earlier
        for finding in context.earlier[name].findings
        if finding.a and finding.b and not finding.explained_by
    ]
    return sorted(found, key=lambda match: (-match.bits, match.a.path, match.a.start_line))[:_MATCHES]


def _not_read(side: Past) -> Notice:
    count = (
        f"{len(side.commits):,} commits or more"
        if len(side.commits) > SMALL_COMMITS
        else f"{len(side.versions):,} versions"
    )
    return Notice(
        f"history was not read, as it is long ({count}); --history reads it", side.snapshot.source, side.side
    )


def _of_files(side: tuple[Snapshot, Lineage], paths: Collection[str]) -> Shingles:
    """The shingles of a side's files as they are now."""
    blobs = [file.blob for file in side[0].files if file.path in paths]
    return frozenset().union(*(side[1].versions.get(blob, frozenset()) for blob in blobs))


def _weights(matches: Sequence[_Match], earlier: str) -> dict[str, float]:
    """The later side's matched files; each weighs as much as its matches, in bits."""
    bits: dict[str, float] = {}
    for match in matches:
        path = (match.a if earlier == "b" else match.b).path
        bits[path] = min(bits.get(path, 0.0) + match.bits, _FILE_BITS)
    return bits


def _fit(
    later: tuple[Snapshot, Lineage], earlier: tuple[Snapshot, Lineage], weights: dict[str, float]
) -> Fit | None:
    """The revision of the earlier side that fits best: by shingles; where they see no difference by terms."""
    wanted: dict[int, float] = {}
    for path, weight in sorted(weights.items()):
        found = _of_files(later, (path,))
        for shingle in found:
            wanted[shingle] = wanted.get(shingle, 0.0) + weight / len(found)
    fit = best_fit(earlier[1], wanted, _of_files(later, {file.path for file in later[0].files}))
    if fit is not None and not fit.is_past:
        return best_fit_by_terms(later, earlier, weights) or fit
    return fit


def _held(
    matches: Sequence[_Match],
    snapshots: tuple[Snapshot, Snapshot],
    sides: tuple[Lineage, Lineage],
    shingler: Shingler,
) -> list[Held]:
    """For each match the first commit of either side that held it: what both sides' parts share, or the
    same blob.
    """
    texts = tuple(
        snapshot.read({(match.a, match.b)[at].path for match in matches})
        for at, snapshot in enumerate(snapshots)
    )
    blobs = tuple({file.path: file.blob for file in snapshot.files} for snapshot in snapshots)
    common: list[tuple[_Match, Shingles]] = []
    found: list[Held] = []
    for match in matches:
        blob = blobs[0].get(match.a.path)
        if blob is not None and blob == blobs[1].get(match.b.path):
            found.append(Held(match.a, match.b, match.bits, *(lineage.first_blob(blob) for lineage in sides)))
            continue
        shared = _part(texts[0], match.a, shingler) & _part(texts[1], match.b, shingler)
        if len(shared) >= _LEAST:
            common.append((match, shared))
    firsts = (lineage.firsts_with([shared for _, shared in common], _HELD) for lineage in sides)
    for (match, _), first_a, first_b in zip(common, *firsts, strict=True):
        found.append(Held(match.a, match.b, match.bits, first_a, first_b))
    return sorted(found, key=lambda part: (-part.bits, part.a.path, part.a.start_line, part.b.path))


def _part(texts: dict[str, bytes], span: Span, shingler: Shingler) -> Shingles:
    lines = texts.get(span.path, b"").split(b"\n")
    whole = span.end_line <= span.start_line
    return shingler(b"\n".join(lines if whole else lines[span.start_line - 1 : span.end_line]))


def _finding(
    matches: Sequence[_Match],
    held: Sequence[Held],
    order: Direction,
    fit: Fit,
    sides: tuple[tuple[Snapshot, Lineage], tuple[Snapshot, Lineage]],
) -> Finding:
    """How well the best revision of the earlier side (the second of `sides`) fits, and who came first."""
    earlier = order.earlier or "b"
    later_name, name = ("A", "B") if earlier == "b" else ("B", "A")
    lacks = _lacks(sides[1][1], fit, _of_files(sides[0], {file.path for file in sides[0][0].files}))
    if fit.is_past:
        title = (
            f"{later_name}'s matched files fit {name}'s revision of {fit.commit.at[:10]} best "
            f"({fit.share:.0%} of them is there, {fit.newest:.0%} in the revision compared); {order.sentence}"
        )
    else:
        since = fit.commit.at[:10]
        title = f"{later_name}'s matched files fit {name} best as it is since {since}; {order.sentence}"
    return Finding(
        "history",
        title,
        _strength(matches, order, fit),
        0.0,
        tuple(dict.fromkeys(Span(match.a.path) for match in matches))[:_LISTED],
        tuple(dict.fromkeys(Span(match.b.path) for match in matches))[:_LISTED],
        reasons=tuple(Reason(text, 0.0) for text in order.limits),
        details={
            "best": {
                "side": earlier,
                "commit": fit.commit.id,
                "at": fit.commit.at,
                "subject": fit.commit.subject,
                "until": fit.until.id,
                "until_at": fit.until.at,
                "share": round(fit.share, 4),
                "share_newest": round(fit.newest, 4),
            },
            "lacks": lacks,
            "direction": {
                "earlier": order.earlier,
                "confidence": order.confidence,
                "share": round(order.share, 4),
            },
            "first": [_first_row(part) for part in held[:_LISTED]],
        },
    )


def _strength(matches: Sequence[_Match], order: Direction, fit: Fit) -> Strength:
    """An order in time is no evidence of common origin; to fit a superseded revision of much code is some."""
    superseded = fit.newest <= fit.share - 0.03 and fit.share >= 0.3
    many = len({match.a.path for match in matches}) >= 3 and sum(match.bits for match in matches) >= 500
    return "moderate" if superseded and many and order.share >= 0.9 else "weak"


def _lacks(lineage: Lineage, fit: Fit, other: Shingles) -> list[Json]:
    """Later commits to the files that fit: what they brought, and how much of it the other side lacks."""
    files = {
        path
        for path, blob in lineage.state(fit.commit.id).items()
        if len(lineage.versions[blob] & other) >= _LEAST
    }
    state = lineage.state(fit.until.id)
    rows: list[Json] = []
    for commit in lineage.since(fit.until.id):
        for change in lineage.changes.get(commit.id, ()):
            before = lineage.versions.get(state.get(change.path, ""), frozenset())
            state[change.path] = change.blob
            if change.path in files and change.blob:
                new = lineage.versions[change.blob] - before
                lacking = len(new - other)
                if lacking:
                    rows.append([commit.id, commit.at, commit.subject, change.path, lacking, len(new)])
    return rows[:_LISTED]


def _first_row(part: Held) -> Json:
    return [
        part.a.path,
        part.a.name,
        part.first_a.at if part.first_a else "",
        part.b.path,
        part.b.name,
        part.first_b.at if part.first_b else "",
    ]


def _events(
    held: Sequence[Held], sides: tuple[Lineage, Lineage], fit: Fit | None, earlier: str
) -> tuple[Event, ...]:
    """The timeline: both histories' beginnings and ends, when matched parts appeared, and the best-fitting
    revision.
    """
    events: list[Event] = []
    for at, lineage in enumerate(sides):
        side: Literal["a", "b"] = "a" if at == 0 else "b"
        firsts = Counter(first for part in held if (first := (part.first_a, part.first_b)[at]) is not None)
        marks: list[tuple[Commit, str]] = [(lineage.commits[0], "first commit")] if lineage.commits else []
        marks += [
            (commit, f"holds {count} of {len(held)} matched parts for the first time")
            for commit, count in firsts.items()
        ]
        if fit is not None and side == earlier:
            marks.append((fit.commit, "the revision that fits the other side best"))
        if lineage.commits:
            marks.append((lineage.commits[-1], "the revision compared"))
        events.extend(Event(commit.at, side, commit.id, text) for commit, text in marks)
    return tuple(sorted(events, key=lambda event: (event.at, event.side, event.text)))

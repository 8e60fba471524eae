"""Code: units of the two sides that compute the same, located, aligned and weighed (docs/method.md)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from detector.background import Background
from detector.candidate.bag import bags
from detector.candidate.candidate import candidates
from detector.evidence.explanation import Explanations
from detector.evidence.finding import (
    Aligned,
    Edge,
    Evidence,
    Extent,
    Finding,
    Graph,
    Node,
    Reason,
    Rename,
    Span,
    Strength,
    Transformation,
)
from detector.evidence.grading import CONVERGENT, FORM
from detector.evidence.leftover.numbers import link_of_texts
from detector.evidence.registry import Context
from detector.fingerprint.fingerprint import Fingerprint, Prints
from detector.fingerprint.repository import fingerprint_snapshots
from detector.fingerprint.term import LEVELS
from detector.match.alignment import Lines, Pairing, align, pair_nodes
from detector.match.chance import Common, law
from detector.match.convergence import Writing, between_files, converges, frameworks, is_port, writing
from detector.match.correspondence import Basis, Match, Matches, correspond
from detector.match.relation import relations
from detector.match.rename import Votes, rename_map, together, votes
from detector.match.side import Side
from detector.match.significance import Significance
from detector.phase import phase
from detector.snapshot.model import Notice, Snapshot
from detector.unit.source import read_source

_REASONS = 5
_EXACT = {level for level, name in enumerate(LEVELS) if name.startswith("exact")}
_FEWEST_NODES = 3
"""a unit with fewer dataflow nodes says nothing"""
_SCALE: tuple[tuple[float, Strength], ...] = (
    (1e-12, "very strong"), (1e-6, "strong"), (1e-3, "moderate"), (1.0, "weak"),
)  # fmt: skip
_LEAST: dict[Basis, float] = {"pair": 0.0, "class": 1e-3, "place": 1e-2}
"""the members of a class share one E-value, and a place was found by other matches: such findings are at
most moderate, and weak"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides, ready to be matched, and what a finding needs besides."""

    a: Side
    b: Side
    texts_a: dict[str, list[str]]
    texts_b: dict[str, list[str]]
    background: Background
    common: Common


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Compare the Python code of two snapshots."""
    with phase("fingerprint"):
        sides = fingerprint_snapshots([a, b, *context.upstreams], context.options.jobs, context.progress)
        prints_a, prints_b, *upstreams = sides
    context.progress("match", 0, 1)
    with phase("weigh"):
        background = Background.open()
        side_a, side_b = _side(prints_a, background), _side(prints_b, background)
        common = Common.of(side_a.bags, side_b.bags)
        held = [
            (upstream.label, bags(prints.fingerprints, background.bits))
            for upstream, prints in zip(context.upstreams, upstreams, strict=True)
        ]
        explanations = Explanations.of(common, held, background)
    with phase("match"):
        test = Significance(common, law(), context.options.threshold, explanations.public)
        matches = correspond(side_a, side_b, candidates(side_a.bags, side_b.bags), test)
    with phase("explain"):
        explained = explanations.of_matches(matches.matches)
    texts = _texts(a, side_a, matches, "a"), _texts(b, side_b, matches, "b")
    compared = Comparison(side_a, side_b, *texts, background, common)
    with phase("find"):
        findings, cast, written = _findings(compared, matches, explained)
    renames = _named(rename_map(together(cast)), compared, matches)
    own = [match for match, reasons in zip(matches.matches, explained, strict=True) if not reasons]
    link = None if written.keeps_text() or written.keeps_form() else _link(compared, matches, explained)
    context.progress("match", 1, 1)
    return Evidence(
        findings=tuple(findings),
        renames=renames,
        notices=(*_sided(prints_a, "a"), *_sided(prints_b, "b")),
        graph=_graph(compared, matches),
        extent_a=_extent(prints_a, compared.common.own_a, [(m.a, m.held) for m in own]),
        extent_b=_extent(prints_b, compared.common.own_b, [(m.b, m.held) for m in own]),
        chance_findings=matches.chance_findings,
        link=link,
    )


def _side(prints: Prints, background: Background) -> Side:
    units = [
        unit for unit in prints.fingerprints if len(unit.places) >= _FEWEST_NODES or unit.unit.kind == "class"
    ]
    return Side(units, bags(units, background.bits), relations(units))


def _sided(prints: Prints, side: str) -> list[Notice]:
    """What is to be said about a side: a verdict on one that holds no code would be a verdict on nothing."""
    empty = Notice("holds no Python code at this commit, so none was compared; @REV after it chooses another")
    notices = prints.notices if prints.files or prints.notices else (empty,)
    return [replace(notice, side=side) for notice in notices]


def _texts(snapshot: Snapshot, side: Side, matches: Matches, which: str) -> dict[str, list[str]]:
    """Lines of the files that hold matched units."""
    paths = {side.units[getattr(match, which)].unit.path for match in matches.matches}
    contents = snapshot.read(sorted(paths))
    return {
        path: read_source(path, c).text.decode("utf-8", "replace").split("\n") for path, c in contents.items()
    }


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What a match looks like: what the two have in common as a part of each, paired nodes, votes for names,
    aligned statements, how these are written.
    """

    parts: tuple[float, float]
    pairing: Pairing
    cast: Votes
    lines: Sequence[Lines]
    writing: Writing


def _findings(
    compared: Comparison, matches: Matches, explained: Sequence[tuple[str, ...]]
) -> tuple[list[Finding], list[Votes], Writing]:
    """One finding for each main match with the parts that belong to it, and how those are written that
    nothing explains.
    """
    likenesses = [_likeness(compared, match) for match in matches.matches]
    units = [(compared.a.units[match.a].unit, compared.b.units[match.b].unit) for match in matches.matches]
    files = between_files(
        (*pair, likeness.writing)
        for match, pair, likeness, reasons in zip(matches.matches, units, likenesses, explained, strict=True)
        if not (reasons or match.part)
    )
    whole = sum(files.values(), Writing())
    ported = is_port(frameworks(compared.texts_a.values()), frameworks(compared.texts_b.values()))
    found: list[Finding] = []
    all_votes: list[Votes] = []
    for match, (a, b), likeness, reasons in zip(matches.matches, units, likenesses, explained, strict=True):
        between = files.get((a.path, b.path), likeness.writing)
        part, written = min(likeness.parts), likeness.writing
        convergent = converges(match.bits, part, written, between, whole, ported=ported)
        marks = {CONVERGENT: convergent, FORM: between.keeps_form()}
        found.append(_finding(compared, match, likeness, reasons, marks))
        if not reasons:
            all_votes.append(likeness.cast)
    return found, all_votes, whole


def _likeness(compared: Comparison, match: Match) -> _Likeness:
    unit_a, unit_b = compared.a.units[match.a], compared.b.units[match.b]
    pairing = pair_nodes(unit_a, unit_b, partial(compared.a.bags.rarity, match.a))
    cast = votes(unit_a, unit_b, pairing)
    lines = align(unit_a, unit_b, pairing)
    texts = compared.texts_a.get(unit_a.unit.path, []), compared.texts_b.get(unit_b.unit.path, [])
    owns = compared.common.own_a[match.a], compared.common.own_b[match.b]
    parts = _share(match.held, owns[0]), _share(match.held, owns[1])
    return _Likeness(parts, pairing, cast, lines, writing(cast, lines, *texts))


def _link(compared: Comparison, matches: Matches, explained: Sequence[tuple[str, ...]]) -> float:
    """The link between the numbers of what matches and nothing explains."""
    own = [m for m, reasons in zip(matches.matches, explained, strict=True) if not (reasons or m.part)]
    units_a = (compared.a.units[at] for at in sorted({match.a for match in own}))
    units_b = (compared.b.units[at] for at in sorted({match.b for match in own}))
    return link_of_texts(
        "\n".join(_text(compared.texts_a, unit) for unit in units_a),
        "\n".join(_text(compared.texts_b, unit) for unit in units_b),
    )


def _finding(
    compared: Comparison,
    match: Match,
    likeness: _Likeness,
    explained: tuple[str, ...],
    marks: Mapping[str, bool],
) -> Finding:
    unit_a, unit_b = compared.a.units[match.a], compared.b.units[match.b]
    weight = sum(line.weight for line in likeness.lines) or 1.0
    span_a, span_b = _span(unit_a), _span(unit_b)
    return Finding(
        kind="code",
        title=f"{span_a.name} in {span_a.path} and {span_b.name} in {span_b.path} "
        "compute the same in large part",
        strength=_strength(match),
        bits=round(match.bits, 1),
        e_value=float(f"{match.e_value:.3g}"),
        a=(span_a,),
        b=(span_b,),
        lines=tuple(
            Aligned(*line.a[:2], *line.b[:2], round(match.bits * line.weight / weight, 1))
            for line in likeness.lines
        ),
        renames=rename_map(likeness.cast)[:40],
        transformations=_transformations(compared, match, likeness.pairing, unit_a, unit_b),
        explained_by=explained,
        reasons=_reasons(compared, unit_a, unit_b, likeness.pairing),
        details={
            "share_a": likeness.parts[0],
            "share_b": likeness.parts[1],
            "e_value_of": match.basis,
            "names_kept": likeness.writing.kept,
            "names_replaced": likeness.writing.replaced,
            "text_kept": _share(likeness.writing.same, likeness.writing.weight),
            **marks,
        },
    )


def _share(score: float, whole: float) -> float:
    return round(min(1.0, float(score) / max(1e-9, float(whole))), 3)


def _span(unit: Fingerprint) -> Span:
    return Span(unit.unit.path, unit.unit.name, unit.unit.start_line, unit.unit.end_line)


def _strength(match: Match) -> Strength:
    """By the E-value; what owes it to its classes or to its place is no evidence of the same weight."""
    least = max(match.e_value, _LEAST[match.basis])
    return next((strength for limit, strength in _SCALE if least <= limit), "none")


def _transformations(
    compared: Comparison, match: Match, pairing: Pairing, a: Fingerprint, b: Fingerprint
) -> tuple[Transformation, ...]:
    """What happened between the two, as far as the terms tell."""
    text_a, text_b = _text(compared.texts_a, a), _text(compared.texts_b, b)
    part: tuple[Transformation, ...] = ()
    if match.part:
        part = ("split",) if compared.common.own_a[match.a] > compared.common.own_b[match.b] else ("merged",)
    if text_a and text_a == text_b:
        return ("identical", *part)
    same = set(a.terms[:, 2].tolist()) == set(b.terms[:, 2].tolist())
    names_same = a.names == b.names and a.unit.name.rpartition(".")[2] == b.unit.name.rpartition(".")[2]
    if same:
        return ("reformatted" if names_same else "renamed", *part)
    if sum(level in _EXACT for level in pairing.level) / max(1, len(pairing.level)) < 0.35:
        return ("restructured", "ported", *part) if _frameworks_differ(a, b) else ("restructured", *part)
    changed: tuple[Transformation, ...] = ("restructured",) if names_same else ("renamed", "restructured")
    return (*changed, *part)


def _frameworks_differ(a: Fingerprint, b: Fingerprint) -> bool:
    """Do the two hold hardly any operation in common at the exact level?"""
    left, right = set(a.terms[:, 0].tolist()), set(b.terms[:, 0].tolist())
    return len(left & right) < 0.3 * min(len(left), len(right))


def _text(texts: dict[str, list[str]], unit: Fingerprint) -> str:
    lines = texts.get(unit.unit.path, [])[unit.unit.start_line - 1 : unit.unit.end_line]
    return "\n".join(lines)


def _reasons(compared: Comparison, a: Fingerprint, b: Fingerprint, pairing: Pairing) -> tuple[Reason, ...]:
    """The rarest things the two have in common, a statement each, in words."""
    functions = compared.background.functions
    seen: set[int] = set()
    reasons: list[Reason] = []
    places = a.places[pairing.a].tolist()
    for at in sorted(range(len(places)), key=pairing.bits.__getitem__, reverse=True):
        if places[at] in seen:
            continue
        if len(reasons) == _REASONS:
            break
        seen.add(places[at])
        rarity = pairing.bits[at]
        line_a = int(a.statements[places[at], 0])
        line_b = int(b.statements[b.places[pairing.b[at]], 0])
        written = compared.texts_a.get(a.unit.path, [""])[line_a - 1 : line_a]
        count = max(1, round(functions * 2.0**-rarity))
        many = f"in about {count:,}" if count > 1 else "in at most one"
        line = " ".join((written or [""])[0].split())[:120].rstrip(":")
        text = f"{line}: its rarest operation stands {many} of {functions:,} public functions"
        reasons.append(Reason(text, round(rarity, 1), line_a, line_b))
    return tuple(reasons)


def _named(renames: tuple[Rename, ...], compared: Comparison, matches: Matches) -> tuple[Rename, ...]:
    """Renames of matched functions and of classes whose members match, before those of names within."""
    members: dict[str, Counter[str]] = defaultdict(Counter)
    functions: Counter[tuple[str, str]] = Counter()
    for match in matches.matches:
        name_a, name_b = compared.a.units[match.a].unit.name, compared.b.units[match.b].unit.name
        class_a, _, last_a = name_a.rpartition(".")
        class_b, _, last_b = name_b.rpartition(".")
        kinds = compared.a.units[match.a].unit.kind, compared.b.units[match.b].unit.kind
        if kinds == ("class", "class"):
            members[name_a][name_b] += 1
        elif "module" not in kinds and last_a != last_b and not match.part:
            functions[last_a, last_b] += 1
        if class_a and class_b and kinds == ("method", "method"):
            members[class_a][class_b] += 1
    classes = []
    for name_a, counts in members.items():
        name_b, agreeing = counts.most_common(1)[0]
        if name_a != name_b:
            classes.append(Rename("class", name_a, name_b, agreeing, counts.total() - agreeing))
    units = [Rename("function", a, b, n) for (a, b), n in functions.items()]
    known = {(rename.a, rename.b) for rename in (*classes, *units)}
    rest = [rename for rename in renames if (rename.a, rename.b) not in known]
    return tuple(
        sorted((*classes, *units, *rest), key=lambda r: (-(r.agreeing - r.contradicting), r.kind, r.a, r.b))
    )


def _graph(compared: Comparison, matches: Matches) -> Graph:
    """Matched units, the matches, and how matched units of one side are joined."""
    nodes: list[Node] = []
    edges: list[Edge] = []
    for side, letter in ((compared.a, "a"), (compared.b, "b")):
        rows = sorted({getattr(match, letter) for match in matches.matches})
        ids = {row: f"{letter}:{side.units[row].unit.path}::{side.units[row].unit.name}" for row in rows}
        for row in rows:
            unit = side.units[row].unit
            nodes.append(Node(ids[row], "a" if letter == "a" else "b", unit.path, unit.name, unit.kind))
        edges += [
            Edge(ids[row], ids[target], kind)
            for row in rows
            for target, kind in sorted(side.graph.successors[row].items())
            if target in ids
        ]
    for match in matches.matches:
        left, right = compared.a.units[match.a].unit, compared.b.units[match.b].unit
        edges.append(
            Edge(
                f"a:{left.path}::{left.name}", f"b:{right.path}::{right.name}", "match", round(match.bits, 1)
            )
        )
    return Graph(tuple(nodes), tuple(edges))


def _extent(prints: Prints, own: NDArray[np.float64], matched: list[tuple[int, float]]) -> Extent:
    """Share of the side's score that its matches hold: of each matched unit the best match's part."""
    held: dict[int, float] = {}
    for row, score in matched:
        held[row] = min(float(own[row]), max(score, held.get(row, 0.0)))
    whole = float(own.sum())
    share = min(1.0, sum(held.values()) / whole) if whole else 0.0
    return Extent(len(prints.fingerprints), prints.lines, round(share, 4))

"""What survives a renaming: rare names, texts, prose, constants, paths; references to the other side.

Each kind is one finding whose `items` list what both sides hold, rarest first. Strength follows from the
share of a side's unusual words that the other side has, and from how many files they are spread over: two
repositories of one field share a few rare words each, and a borrowed file shares its own and no others.
`docs/evidence/leftovers.md` gives the scale and where it comes from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from detector.background.rarity import rarities
from detector.evidence.finding import Evidence, Finding, Json, Span, Strength
from detector.evidence.grading import LINKED, NAMES, REFERS
from detector.evidence.leftover.identity import mentions, names_of
from detector.evidence.leftover.numbers import Common, common_numbers
from detector.evidence.leftover.prose import alike, countable
from detector.evidence.leftover.references import Reference, dangling, wanted
from detector.evidence.leftover.spelling import mistakes
from detector.evidence.rare import rare
from detector.evidence.registry import Context
from detector.evidence.vocabulary import decode
from detector.evidence.wording import count
from detector.evidence.words import Kind, Words, read_words
from detector.snapshot.model import Snapshot

Texts: TypeAlias = "Mapping[str, str]"
SHORTEST_NAME = 4
SHORTEST_TEXT = 12
REFERENCE_BITS = 20.0
MENTION_BITS = 5.0
PATH_BITS = 15.0
MISTAKE_BITS = 10.0
MOST_TEXT_BITS = 40.0
MOST_CONSTANT_BITS = 50.0
"""most that all constants carry: one list of settings, which a specification may have dictated"""
LINK = 8.0
"""log2 of the likelihood ratio from which two lists of numbers are nearly the same"""
SPREAD = 0.2
"""share of the files with unusual texts, on either side, that hold shared ones: below, a part was taken"""
MOST_BITS: Mapping[Strength, float] = {
    "weak": 30.0,
    "moderate": 100.0,
    "strong": 300.0,
    "very strong": 600.0,
}
"""most that one finding carries: the words of a borrowed file come together, not one by one"""
_LARGEST_TEXT = 2**18
_SHOWN = 200
_LOCAL_PATH = re.compile(
    r"(?:/(?:home|Users|mnt|data\d*|root|scratch|nfs|workspace)/|[A-Z]:\\\\?|(?:s3|gs|hdfs)://)[\w./\\-]{6,}"
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that both sides hold, and where it first stands on either (`path:line`)."""

    kind: str
    text: str
    bits: float
    a: str
    b: str


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """One finding for each kind of leftover that there is."""
    words_a, notices_a = read_words(a, "a")
    words_b, notices_b = read_words(b, "b")
    upstreams = [read_words(snapshot, "")[0] for snapshot in context.upstreams]
    texts_a, texts_b = _texts(a), _texts(b)
    common = common_numbers(words_a, words_b, upstreams)
    findings = [
        *_words(NAMES, words_a, words_b, upstreams),
        *_words("text", words_a, words_b, upstreams),
        *_prose(words_a, words_b, upstreams),
        *_constants(words_a, words_b, common),
        *_paths(words_a, words_b),
        *_mistakes(words_a, words_b),
        *_references(dangling(a, words_a, texts_a, b, words_b), dangling(b, words_b, texts_b, a, words_a)),
        *_mentions(names_of(a, texts_a), names_of(b, texts_b), (words_a, texts_a), (words_b, texts_b)),
    ]
    return Evidence(tuple(findings), notices=(*notices_a, *notices_b), link=common.link)


def _texts(snapshot: Snapshot) -> dict[str, str]:
    """Small files besides code that may name modules, files and people."""
    paths = [
        file.path
        for file in snapshot.files
        if (wanted(file.path) or "licen" in file.path.lower()) and 0 < (file.size or 0) <= _LARGEST_TEXT
    ]
    return {path: decode(data) for path, data in sorted(snapshot.read(paths).items())}


def _words(kind: str, a: Words, b: Words, upstreams: Collection[Words]) -> Iterator[Finding]:
    """Rare identifiers, or rare string literals, that both sides hold."""
    lexeme: Kind = "name" if kind == "identifier" else "string"
    foreign = _foreign(a, b) if kind == "identifier" else set()
    seen = {text for words in upstreams for text in words.places[lexeme]}
    unusual = [_rare(kind, words.places[lexeme].keys() - foreign - seen) for words in (a, b)]
    shared = sorted(unusual[0] & unusual[1])
    if not shared:
        return
    weights = rarities("word" if kind == "identifier" else "text", shared).tolist()
    items = [
        Item(kind, text, _bits(kind, text, weight), a.find(lexeme, text), b.find(lexeme, text))
        for text, weight in zip(shared, weights, strict=True)
    ]
    share = len(shared) / min(len(unusual[0]), len(unusual[1]))
    spread = max(_spread(words, lexeme, shared, held) for words, held in zip((a, b), unusual, strict=True))
    title = count(len(shared), "rare identifier" if kind == "identifier" else "rare string literal")
    judge = name_strength if kind == "identifier" else text_strength
    yield _finding(
        f"{title} on both sides, {share:.0%} of the side with fewer", judge(len(shared), share, spread), items
    )


def _foreign(a: Words, b: Words) -> set[str]:
    """Names that either side imports from elsewhere: both got them from there."""
    return {
        name
        for words in (a, b)
        for statement in words.imports
        if not statement.module.startswith(".")
        for name in (*statement.names, *statement.module.split("."))
    }


def _rare(kind: str, texts: Collection[str]) -> set[str]:
    """Those of the texts that public code hardly holds."""
    if kind == "identifier":
        names = [text for text in texts if len(text) >= SHORTEST_NAME]
    else:
        names = [text for text in texts if len(text) >= SHORTEST_TEXT and not _LOCAL_PATH.match(text)]
    return rare("word" if kind == "identifier" else "text", names)


def _bits(kind: str, text: str, weight: float) -> float:
    """Rarity (`weight`); a long text carries one bit more for each word after the fourth."""
    if kind == "identifier":
        return round(weight, 1)
    return round(min(MOST_TEXT_BITS, weight + max(0, len(text.split()) - 4)), 1)


def _spread(words: Words, lexeme: Kind, shared: Collection[str], unusual: Collection[str]) -> float:
    holders = {words.places[lexeme][text].path for text in unusual}
    return len({words.places[lexeme][text].path for text in shared}) / max(1, len(holders))


def _prose(a: Words, b: Words, upstreams: Collection[Words]) -> Iterator[Finding]:
    """Comments and docstrings that agree in most of their words."""
    seen = {text for words in upstreams for text in words.places["prose"]}
    texts_a = [text for text in countable(a.places["prose"]) if text not in seen]
    texts_b = [text for text in countable(b.places["prose"]) if text not in seen]
    pairs = alike(texts_a, texts_b)
    if not pairs:
        return
    items = [
        Item(
            "prose",
            pair.a,
            round(pair.bits, 1),
            a.find("prose", pair.a),
            b.find("prose", pair.b),
        )
        for pair in pairs
    ]
    share = len(pairs) / min(len(texts_a), len(texts_b))
    spread = max(
        _spread(a, "prose", [pair.a for pair in pairs], texts_a),
        _spread(b, "prose", [pair.b for pair in pairs], texts_b),
    )
    exact = sum(pair.a == pair.b for pair in pairs)
    title = f"{count(len(pairs), 'comment')} alike, {exact} of them word for word"
    yield _finding(title, prose_strength(len(pairs), share, spread), items)


def _constants(a: Words, b: Words, found: Common) -> Iterator[Finding]:
    """Numbers, unusual ones first; their strength depends on how few there are that only one side has."""
    strength = constant_strength(list(found.unusual.values()), found.share, found.link)
    if strength != "none":
        shared = {**found.others, **found.unusual} if found.link > 0 else found.unusual
        ranked = sorted(shared.items(), key=lambda item: (item[0] not in found.unusual, -item[1], item[0]))
        items = [
            Item(
                "constant",
                text,
                round(bits, 1),
                a.find("number", text),
                b.find("number", found.written_b[text]),
            )
            for text, bits in ranked[:_SHOWN]
        ]
        items += [Item("constant", text, round(bits, 1), "", "") for text, bits in ranked[_SHOWN:]]
        title = (
            f"{count(len(found.written_b), 'number')} on both sides, {len(found.unusual)} of them unusual "
            f"({found.only_a} only in A, {found.only_b} only in B)"
        )
        bits = max(found.link, math.fsum(found.unusual.values()))
        finding = _finding(title, strength, items)
        yield replace(
            finding,
            bits=round(min(bits, MOST_CONSTANT_BITS), 1),
            details={**finding.details, LINKED: round(found.link, 1)},
        )


def _paths(a: Words, b: Words) -> Iterator[Finding]:
    """Paths of somebody's own machine or storage that stand in the code of both."""
    found = [
        {
            match: place
            for text, place in words.places["string"].items()
            for match in _LOCAL_PATH.findall(text)
        }
        for words in (a, b)
    ]
    shared = sorted(found[0].keys() & found[1].keys())
    if shared:
        items = [
            Item("path", text, PATH_BITS, a.show(found[0][text]), b.show(found[1][text])) for text in shared
        ]
        strength: Strength = "moderate" if len(items) >= 5 else "weak"
        yield _finding(f"{count(len(items), 'private path')} on both sides", strength, items)


def _references(in_a: Collection[Reference], in_b: Collection[Reference]) -> Iterator[Finding]:
    """For each side, names in it that only the other side defines."""
    for side, other, references in (("A", "B", in_a), ("B", "A", in_b)):
        items = [
            Item(
                reference.what, reference.text, REFERENCE_BITS if reference.binding else MENTION_BITS, *places
            )
            for reference in references
            for places in [
                (reference.holder, reference.target) if side == "A" else (reference.target, reference.holder)
            ]
        ]
        if items:
            binding = sum(reference.binding for reference in references)
            what = f"{len(items)} modules, classes or files" if len(items) > 1 else f"a {items[0].kind}"
            title = f"{side} refers to {what} that only {other} has: {items[0].text[:80]}"
            finding = _finding(title, reference_strength(binding), items)
            yield replace(finding, details={**finding.details, REFERS: binding})


def _mistakes(a: Words, b: Words) -> Iterator[Finding]:
    """Words that both misspell in the same way."""
    items = [
        Item("misspelling", f"{word} (for {intended})", MISTAKE_BITS, place_a, place_b)
        for word, (intended, place_a, place_b) in mistakes(a, b).items()
    ]
    if items:
        yield _finding(f"{count(len(items), 'word')} misspelt alike: {items[0].text}", "weak", items)


def _mentions(
    of_a: Collection[str], of_b: Collection[str], in_a: tuple[Words, Texts], in_b: tuple[Words, Texts]
) -> Iterator[Finding]:
    """Names of the one inside the other: credit, comparison or trace, which only a reader can tell."""
    common = {name.lower() for name in of_a} & {name.lower() for name in of_b}
    names_a, names_b = ([name for name in names if name.lower() not in common] for names in (of_a, of_b))
    items = [Item("name", found.name, MENTION_BITS, "", found.where) for found in mentions(names_a, *in_b)]
    items += [Item("name", found.name, MENTION_BITS, found.where, "") for found in mentions(names_b, *in_a)]
    if items:
        yield _finding(
            "One side names the other: " + ", ".join(item.text for item in items[:3]), "weak", items
        )


def name_strength(number: int, share: float, spread: float) -> Strength:
    """The scale for identifiers; `share` is of the side with fewer unusual ones."""
    return _scale(
        number, share, spread, ((100, 0.6, "very strong"), (25, 0.4, "strong"), (20, 0.2, "moderate"))
    )


def text_strength(number: int, share: float, spread: float) -> Strength:
    """The scale for string literals."""
    return _scale(
        number, share, spread, ((60, 0.5, "very strong"), (20, 0.3, "strong"), (6, 0.12, "moderate"))
    )


def prose_strength(number: int, share: float, spread: float) -> Strength:
    """The scale for comments and docstrings."""
    return _scale(
        number, share, spread, ((40, 0.7, "very strong"), (20, 0.4, "strong"), (8, 0.2, "moderate"))
    )


def constant_strength(unusual: Collection[float], share: float, link: float) -> Strength:
    """The scale for constants, which only corroborate: bits of the unusual ones in common, what part they are
    of those that either side has, and how much likelier a copy is to leave such lists.
    """
    if link >= LINK or (len(unusual) >= 5 and sum(unusual) >= 15 and share >= 0.7):
        return "moderate"
    return "weak" if share >= 0.3 or max(unusual, default=0) >= 8 else "none"


def reference_strength(binding: int) -> Strength:
    """The scale for references that a program would follow into the other side's files."""
    return "strong" if binding >= 3 else "moderate" if binding else "weak"


def _scale(
    number: int, share: float, spread: float, steps: tuple[tuple[int, float, Strength], ...]
) -> Strength:
    if spread >= SPREAD:
        for least, part, strength in steps:
            if number >= least and share >= part:
                return strength
    return "weak"


def _finding(title: str, strength: Strength, items: list[Item]) -> Finding:
    ranked = sorted(items, key=lambda item: (-item.bits, item.kind, item.text))
    listed: list[Json] = [[item.kind, item.text[:400], item.bits, item.a, item.b] for item in ranked[:_SHOWN]]
    return Finding(
        kind="leftovers",
        title=title,
        strength=strength,
        bits=round(min(MOST_BITS[strength], sum(item.bits for item in items)), 1),
        a=_spans(ranked, lambda item: item.a),
        b=_spans(ranked, lambda item: item.b),
        details={"items": listed, "more": max(0, len(items) - _SHOWN)},
    )


def _spans(items: list[Item], place: Callable[[Item], str]) -> tuple[Span, ...]:
    """The first places of a side, one for each file."""
    spans: dict[str, Span] = {}
    for item in items:
        path, _, line = place(item).rpartition(":")
        if path and path not in spans:
            spans[path] = Span(path, start_line=int(line), end_line=int(line))
        elif not path and line and line not in spans:
            spans[line] = Span(line)
    return tuple(spans.values())[:20]

"""Tokenizers: vocabulary, merges, tokens added on top, chat template, and equality as data.

Public tokenizers are built on by everybody, so what belongs to a well-known base (`known.toml`) is set
apart, and only what was added on top of it counts: which tokens, under which ids. The scale is in
`docs/evidence/tokenizer.md`.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

from detector.background.rarity import rarity
from detector.evidence.finding import Evidence, Finding, Json, Reason, Span, Strength
from detector.evidence.known import BaseTokenizer, known
from detector.evidence.readers.tokenizers import Tokenizer, read_tokenizers
from detector.evidence.registry import Context
from detector.evidence.vocabulary import entries
from detector.evidence.wording import count
from detector.snapshot.model import Snapshot

MOST_TOKEN_BITS = 8.0
"""one added token with its id; added tokens come in families, so each says less than a lone rare word"""
PLACED_BITS = 2.0
"""added when both sides give the token the same id"""
LEAST_VOCABULARY = 256
LEAST_TEMPLATE = 200
"""characters below which chat templates are too short to tell apart"""
SIMILAR = 0.9
_LONGEST_TEMPLATE = 20_000
_MOST_TAGS = 1_500
_MOST_ADDED = 20_000
_SHOWN = 300
_STRING = re.compile(r'"([^"\\]+)"')


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """For each folder of A with a tokenizer, what it shares with the most similar one of B."""
    tokenizers_a, notices_a = read_tokenizers(a, "a")
    tokenizers_b, notices_b = read_tokenizers(b, "b")
    upstream = {
        token
        for snapshot in context.upstreams
        for tokenizer in read_tokenizers(snapshot, "")[0]
        for token in tokenizer.added
    }
    findings: list[Finding] = []
    for one in tokenizers_a:
        partner = max(tokenizers_b, key=partial(_likeness, one), default=None)
        if partner is not None:
            findings += _compare(one, partner, upstream)
    return Evidence(tuple(findings), notices=(*notices_a, *notices_b))


def _likeness(a: Tokenizer, b: Tokenizer) -> tuple[int, int, bool]:
    """A cheap order of partners: equal files, added tokens in common, vocabularies of one size."""
    blobs = {file.blob for file in a.blobs.values()} & {file.blob for file in b.blobs.values()}
    return len(blobs), len(a.added.keys() & b.added.keys()), len(a.vocabulary) == len(b.vocabulary)


def _compare(a: Tokenizer, b: Tokenizer, upstream: set[str]) -> Iterator[Finding]:
    yield from _same_files(a, b)
    yield from _vocabulary(a, b)
    yield from _merges(a, b)
    yield from _added(a, b, upstream)
    yield from _template(a, b)


def own_tokens(tokenizer: Tokenizer) -> dict[str, int | None]:
    """Added and special tokens that no well-known base has."""
    bases = [known().common_special, *(base.special for base in known().tokenizers)]
    return {
        token: number
        for token, number in islice(tokenizer.added.items(), _MOST_ADDED)
        if len(token) <= _SHOWN and not any(base.fullmatch(token) for base in bases)
    }


def base_of(tokenizer: Tokenizer) -> BaseTokenizer | None:
    """The public tokenizer that this vocabulary is, if it is a known one."""
    return next((base for base in known().tokenizers if base.is_base_of(tokenizer.vocabulary)), None)


def _same_files(a: Tokenizer, b: Tokenizer) -> Iterator[Finding]:
    """Files equal to the byte, or as data though formatted differently; what they hold is weighed below."""
    for name in sorted(a.blobs.keys() & b.blobs.keys()):
        one, other = a.blobs[name], b.blobs[name]
        same_blob = one.blob == other.blob
        if not same_blob and (name not in a.trees or not _equal(a.trees[name], b.trees.get(name))):
            continue
        how = "the same to the byte" if same_blob else "equal as data, formatted differently"
        if one.size is None:
            how += " (by blob id; the content is not at hand)"
        unusual = _unusual_entries(a.trees.get(name))
        bits = sum(reason.bits for reason in unusual)
        yield Finding(
            kind="tokenizer",
            title=f"{name} is {how}",
            strength="weak" if bits < 30 else "moderate",
            bits=round(bits, 1),
            a=(Span(one.path),),
            b=(Span(other.path),),
            transformations=("identical",) if same_blob else ("reformatted",),
            reasons=unusual,
            details={"files": [[one.path, other.path, one.blob if same_blob else "", one.size]]},
        )


def _equal(one: Json, other: Json) -> bool:
    try:
        return one == other
    except RecursionError:
        return False


def _unusual_entries(tree: Json) -> tuple[Reason, ...]:
    """Names of classes and modules in a tokenizer's settings that public code does not hold."""
    if not isinstance(tree, dict):
        return ()
    settings: dict[str, Json] = {
        key: tree[key] for key in ("auto_map", "tokenizer_class", "processor_class") if key in tree
    }
    texts = {text for entry in entries(settings) for text in _STRING.findall(entry.value)}
    weighed = [Reason(f"it names {text[:120]}", round(rarity("text", text), 1)) for text in sorted(texts)]
    return tuple(reason for reason in weighed if reason.bits >= 10)


def _vocabulary(a: Tokenizer, b: Tokenizer) -> Iterator[Finding]:
    """How much of the vocabulary is the same, with the same ids; a well-known base explains it."""
    smaller = min(len(a.vocabulary), len(b.vocabulary))
    if smaller < LEAST_VOCABULARY:
        return
    shared = a.vocabulary.keys() & b.vocabulary.keys()
    placed = sum(a.vocabulary[token] == b.vocabulary[token] for token in shared)
    if placed < smaller / 2:
        return
    base = base_of(a) or base_of(b)
    whole = placed == len(a.vocabulary) == len(b.vocabulary)
    yield Finding(
        kind="tokenizer",
        title=f"The same vocabulary, {placed:,} tokens"
        if whole
        else f"{placed:,} tokens of the vocabularies agree in id",
        strength="moderate" if placed >= 0.95 * smaller and base is None else "weak",
        bits=0.0 if base else 40.0 * placed / smaller,
        a=(_span(a, "tokenizer.json", "vocab", ".model", ".tiktoken"),),
        b=(_span(b, "tokenizer.json", "vocab", ".model", ".tiktoken"),),
        explained_by=(f"the public tokenizer of {base.name}",) if base else (),
        details={
            "shared": len(shared),
            "placed": placed,
            "only_a": len(a.vocabulary) - len(shared),
            "only_b": len(b.vocabulary) - len(shared),
            "tokens": [],
        },
    )


def _merges(a: Tokenizer, b: Tokenizer) -> Iterator[Finding]:
    """Merge rules held by both, and how many of them stand in the same order (longest increasing run)."""
    ranks = {merge: rank for rank, merge in enumerate(b.merges)}
    common = [ranks[merge] for merge in a.merges if merge in ranks]
    smaller = min(len(a.merges), len(b.merges))
    if smaller < LEAST_VOCABULARY or len(common) < smaller / 2:
        return
    ordered = _longest_increasing(common)
    base = base_of(a) or base_of(b)
    yield Finding(
        kind="tokenizer",
        title=f"{len(common):,} merge rules on both sides, {ordered:,} of them in the same order",
        strength="moderate" if ordered >= 0.95 * smaller and base is None else "weak",
        bits=0.0 if base else 20.0 * ordered / smaller,
        a=(_span(a, "merges.txt", "tokenizer.json"),),
        b=(_span(b, "merges.txt", "tokenizer.json"),),
        explained_by=(f"the public tokenizer of {base.name}",) if base else (),
        details={
            "shared": len(common),
            "ordered": ordered,
            "only_a": len(a.merges) - len(common),
            "only_b": len(b.merges) - len(common),
            "tokens": [],
        },
    )


def _longest_increasing(ranks: Sequence[int]) -> int:
    """Length of the longest increasing subsequence, in O(n log n) (Schensted 1961)."""
    tails: list[int] = []
    for rank in ranks:
        at = bisect_left(tails, rank)
        tails[at : at + 1] = [rank]
    return len(tails)


def _added(a: Tokenizer, b: Tokenizer, upstream: set[str]) -> Iterator[Finding]:
    """Tokens that both sides added on top of a base, with their ids."""
    own_a, own_b = own_tokens(a), own_tokens(b)
    shared = sorted(own_a.keys() & own_b.keys() - upstream, key=lambda token: (own_a[token] or 0, token))
    base_tokens = sum(
        number is not None and token in b.added and token not in own_a for token, number in a.added.items()
    )
    if not shared:
        return
    weighed = {token: _token_bits(token, own_a[token], own_b[token]) for token in shared}
    bits = sum(weighed.values())
    tokens: list[Json] = [[token, own_a[token], own_b[token]] for token in shared[:_SHOWN]]
    share = len(shared) / min(len(own_a), len(own_b))
    title = f"{count(len(shared), 'added token')} that no well-known base has"
    if base_tokens:
        title += f"; {base_tokens} more belong to one and are set apart"
    yield Finding(
        kind="tokenizer",
        title=title,
        strength=strength(bits, len(shared), share),
        bits=round(bits, 1),
        a=(_span(a, "tokenizer_config.json", "added_tokens.json", "tokenizer.json"),),
        b=(_span(b, "tokenizer_config.json", "added_tokens.json", "tokenizer.json"),),
        reasons=tuple(
            Reason(f"{token} has id {own_a[token]}", round(weighed[token], 1)) for token in shared[:8]
        ),
        details={
            "shared": len(shared),
            "only_a": len(own_a) - len(shared),
            "only_b": len(own_b) - len(shared),
            "set_apart": base_tokens,
            "tokens": tokens,
        },
    )


def _token_bits(token: str, id_a: int | None, id_b: int | None) -> float:
    placed = PLACED_BITS if id_a is not None and id_a == id_b else 0.0
    return min(MOST_TOKEN_BITS - PLACED_BITS, rarity("text", token)) + placed


def strength(bits: float, tokens: int, share: float) -> Strength:
    """The scale of docs/evidence/tokenizer.md for added tokens; `share` is of the side with fewer."""
    if bits >= 80 and tokens >= 10 and share >= 0.8:
        return "strong"
    if bits >= 40 and tokens >= 6 and share >= 0.5:
        return "moderate"
    return "weak"


def _template(a: Tokenizer, b: Tokenizer) -> Iterator[Finding]:
    """Chat templates by the share of lines and tags in common, in order."""
    if min(len(a.template), len(b.template)) < LEAST_TEMPLATE:
        return
    matcher = difflib.SequenceMatcher(None, _tags(a.template), _tags(b.template), autojunk=False)
    ratio = matcher.ratio() if matcher.quick_ratio() >= SIMILAR else 0.0
    if ratio < SIMILAR:
        return
    bases = [base.name for base in known().tokenizers if base.template and base.template in a.template]
    yield Finding(
        kind="tokenizer",
        title="The same chat template" if ratio == 1 else f"Chat templates that agree to {ratio:.0%}",
        strength="weak" if bases or len(a.template) < 600 else "moderate",
        bits=0.0 if bases else round(min(40.0, len(a.template) / 20) * ratio, 1),
        a=(_span(a, "chat_template", "tokenizer_config.json"),),
        b=(_span(b, "chat_template", "tokenizer_config.json"),),
        explained_by=tuple(f"the usual chat template of {name}" for name in bases),
        details={"ratio": round(ratio, 3), "template_a": a.template[:4000], "template_b": b.template[:4000]},
    )


def _tags(template: str) -> list[str]:
    return template[:_LONGEST_TEMPLATE].replace("{%", "\n{%").replace("%}", "%}\n").split()[:_MOST_TAGS]


def _span(tokenizer: Tokenizer, *wanted: str) -> Span:
    """The file of the folder that holds a thing, by the order in which it is looked for."""
    for part in wanted:
        for name, file in tokenizer.blobs.items():
            if part in name:
                return Span(file.path)
    return Span(str(PurePosixPath(tokenizer.folder) / next(iter(tokenizer.blobs))))

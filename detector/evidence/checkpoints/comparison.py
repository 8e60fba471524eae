"""Two sides' checkpoints compared: names with names, values with values, code with names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from detector.errors import UncribError
from detector.evidence.checkpoints.collection import Checkpoint, collect, reader_of
from detector.evidence.checkpoints.findings import (
    fit_finding,
    load_finding,
    names_finding,
    profile_finding,
    values_finding,
)
from detector.evidence.checkpoints.formats import FORMATS
from detector.evidence.checkpoints.layout import Damaged
from detector.evidence.checkpoints.likeness import Likeness, liken, word_bits
from detector.evidence.checkpoints.loading import fits, load
from detector.evidence.checkpoints.modules import ModuleTree, read_modules
from detector.evidence.checkpoints.standard import architecture
from detector.evidence.checkpoints.stream import open_stream
from detector.evidence.checkpoints.valuation import Opener, Valuation, profiles, value
from detector.evidence.finding import Evidence, Finding
from detector.evidence.registry import Context
from detector.snapshot.model import Notice, Snapshot

_MODELS = 8
"""checkpoints of one side, the largest, that are compared with each of the other's"""
_VALUE_SECONDS = 120.0
_PARSE_SECONDS = 20.0
"""for reading the module classes of one side"""


def compare_checkpoints(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Compare every checkpoint of A with those of B, and each side's code with the other's checkpoints."""
    offline = context.options.offline
    (models_a, notices_a), (models_b, notices_b) = collect(a, "a", offline), collect(b, "b", offline)
    notices = [*notices_a, *notices_b]
    if not models_a and not models_b:
        return Evidence(notices=tuple(notices))
    upstream = {
        snapshot.label: frozenset(
            tensor.name for model in collect(snapshot, "", offline)[0] for tensor in model.tensors
        )
        for snapshot in context.upstreams
    }
    openers = _opener(a, offline), _opener(b, offline)
    findings: list[Finding] = []
    likenesses = _paired(models_a, models_b, frozenset().union(*upstream.values()))
    for likeness in likenesses:
        explained = tuple(
            label for label, names in upstream.items() if {pair[1].name for pair in likeness.pairs} <= names
        )
        findings.append(names_finding(likeness, explained))
        valued, said = _values(likeness, openers)
        findings.extend(valued)
        notices.extend(said)
    findings.extend(_code_findings((a, b), (models_a, models_b), likenesses, context))
    kept = tuple(finding for finding in findings if finding.strength != "none")
    renames = tuple(rename for finding in kept if finding.strength != "weak" for rename in finding.renames)
    return Evidence(kept, renames, tuple(notices))


def compare_tensors(path_a: Path | str, path_b: Path | str, seconds: float = _VALUE_SECONDS) -> Valuation:
    """Compare the values in two checkpoint files on disk, names matched by the best renaming.

    Raises UncribError for a file that is missing, of no known kind, or damaged.
    """
    likeness = liken(_opened(Path(path_a)), _opened(Path(path_b)))
    return value(likeness.pairs, (_local, _local), seconds)


def _opened(path: Path) -> Checkpoint:
    reader = reader_of(path.name)
    if reader is None:
        raise UncribError(f"{path} is no checkpoint; give a file that ends in {', '.join(FORMATS)}")
    try:
        with path.open("rb") as stream:
            layout = reader(stream, str(path))
    except (OSError, Damaged) as error:
        raise UncribError(f"{path} cannot be read as a checkpoint: {error}") from error
    return Checkpoint(layout.path, layout.format, layout.tensors, layout.total_size, (layout.path,))


def _local(path: str) -> BinaryIO:
    return Path(path).open("rb")


def _opener(snapshot: Snapshot, offline: bool) -> Opener:
    """Opens the snapshot's files that lie on this machine: values never travel over the network."""
    files = {file.path: file for file in snapshot.files}

    def opener(path: str) -> BinaryIO | None:
        file = files.get(path)
        return open_stream(snapshot, file, snapshot.read([path]), offline=True) if file is not None else None

    return opener


def _paired(a: Sequence[Checkpoint], b: Sequence[Checkpoint], known: frozenset[str]) -> list[Likeness]:
    """Each checkpoint with the one of the other side that it is most like; every one at most once."""
    candidates = [liken(one, other, known) for one in _distinct(a) for other in _distinct(b)]
    candidates.sort(key=lambda found: (-len(found.pairs), -found.bits, found.a.path, found.b.path))
    chosen: list[Likeness] = []
    for likeness in candidates:
        taken = any(likeness.a is found.a or likeness.b is found.b for found in chosen)
        if likeness.pairs and not taken:
            chosen.append(likeness)
    return chosen


def _distinct(models: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The largest checkpoints, of those with the same tensors in two formats only the one whose values can
    be read.
    """
    kept: dict[frozenset[str], Checkpoint] = {}
    for model in sorted(models, key=lambda model: model.tensors[0].offset is None):
        kept.setdefault(frozenset(tensor.name for tensor in model.tensors), model)
    return sorted(kept.values(), key=lambda model: (-len(model.tensors), model.path))[:_MODELS]


def _values(likeness: Likeness, openers: tuple[Opener, Opener]) -> tuple[list[Finding], list[Notice]]:
    a, b = likeness.a, likeness.b
    valuation = value(likeness.pairs, openers, _VALUE_SECONDS)
    notices = [Notice(trouble, a.path) for trouble in valuation.troubles]
    if valuation.left_out:
        text = f"the values of {valuation.left_out} tensors were not compared"
        notices.append(Notice(f"{text}: limit of {_VALUE_SECONDS:g} seconds", a.path))
    findings = [values_finding(a, b, valuation)] if valuation.weighty else []
    if valuation.related < 0.5:
        profile = profile_finding(a, b, profiles(a.tensors, b.tensors, openers))
        findings.extend([profile] if profile is not None else [])
    return findings, notices


def _code_findings(
    sides: tuple[Snapshot, Snapshot],
    models: tuple[Sequence[Checkpoint], Sequence[Checkpoint]],
    likenesses: Sequence[Likeness],
    context: Context,
) -> Iterator[Finding]:
    """Each side's classes against the other side's checkpoints."""
    renamed = [rename for evidence in context.earlier.values() for rename in evidence.renames]
    attributes = [rename for rename in renamed if rename.kind == "attribute"]
    trees = (
        _tree(sides[0], {rename.b: rename.a for rename in attributes}),
        _tree(sides[1], {rename.a: rename.b for rename in attributes}),
    )
    counted = {word for likeness in likenesses for word, _ in likeness.words}
    for code_side, at in (("a", 0), ("b", 1)):
        tree, other = trees[at], trees[1 - at]
        for checkpoint in _distinct(models[1 - at]):
            for fit in fits(tree, checkpoint.tensors):
                words = [
                    (word, 0.0 if word in counted else bits) for word in fit.own if (bits := word_bits(word))
                ]
                if words:
                    yield fit_finding(code_side, tree.classes[fit.name], fit, checkpoint, words)
            likeness = next((found for found in likenesses if checkpoint is (found.b, found.a)[at]), None)
            yield from _load_findings(code_side, (tree, other), checkpoint, likeness)


def _load_findings(
    code_side: str, trees: tuple[ModuleTree, ModuleTree], checkpoint: Checkpoint, likeness: Likeness | None
) -> Iterator[Finding]:
    """Whether one class of the code has a place for all of the other side's checkpoint that is its own."""
    names = [tensor.name for tensor in checkpoint.tensors]
    renaming: dict[str, str] = {}
    if likeness is not None and code_side == "b":
        renaming = dict(likeness.renaming.prefixes)
        names = [likeness.renaming.apply(name) for name in names]
    result = load(trees[0], trees[1], names)
    is_own = any(architecture(name) is None for name in names)
    if is_own and result.is_whole and result.placed >= 0.9 * len(names):
        own = load(trees[1], trees[0], [tensor.name for tensor in checkpoint.tensors])
        yield load_finding(code_side, trees[0].classes[result.name], (result, own), checkpoint, renaming)


def _tree(snapshot: Snapshot, aliases: dict[str, str]) -> ModuleTree:
    paths = [file.path for file in snapshot.files if file.path.endswith((".py", ".ipynb"))]
    seconds = snapshot.limits.parse_seconds
    contents = sorted(snapshot.read(paths).items())
    return ModuleTree(
        (found for path, content in contents for found in read_modules(path, content, seconds)), aliases
    )

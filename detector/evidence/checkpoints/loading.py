"""Whether the classes of one side's code have places for the tensors of a checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from detector.evidence.checkpoints.layout import Tensor
from detector.evidence.checkpoints.modules import ModuleTree, Part
from detector.evidence.checkpoints.nametree import pattern, segments
from detector.evidence.checkpoints.standard import architecture

_LEAST_PARTS = 3
"""attributes that must meet tensors: fewer are in every second module"""


@dataclass(frozen=True, slots=True)
class Fit:
    """A class that has a place for every tensor below `prefix` (layer indices `*`), and for how many.

    `own`: attributes it meets under names that are usual in no well-known architecture.
    """

    name: str
    prefix: str
    tensors: int
    own: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """The class that places the most of a whole checkpoint, how many of its tensors, after which prefix
    renames; and the names that it has no place for.
    """

    name: str = ""
    placed: int = 0
    prefixes: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether only names of well-known architectures, such as a tied head, found no place."""
        return self.placed > 0 and all(architecture(name) is not None for name in self.missing)


def fits(tree: ModuleTree, tensors: Sequence[Tensor]) -> list[Fit]:
    """Every part of the checkpoint that one class of the code explains whole; the largest class for each
    prefix.
    """
    counts = Counter(pattern(tensor.name) for tensor in tensors)
    below: dict[str, list[tuple[str, ...]]] = {}
    for name in counts:
        parts = segments(name)
        for depth in range(len(parts)):
            below.setdefault(".".join(parts[:depth]), []).append(parts[depth:])
    found: list[Fit] = []
    for prefix, rests in sorted(below.items()):
        if any(f"{prefix}.".startswith(fit.prefix) for fit in found):
            continue
        heads = {rest[0] for rest in rests}
        if len(heads) < _LEAST_PARTS:
            continue
        matching = [
            name
            for name in tree.classes
            if all(tree.holds(name, rest) for rest in rests if rest)
            and len(heads & set(_names(tree, name))) >= _LEAST_PARTS
        ]
        if matching:
            best = min(matching, key=lambda name: (len(tree.parts(name)), name))
            found.append(_fit(best, prefix, rests, counts))
    return found


def _names(tree: ModuleTree, name: str) -> set[str]:
    parts = set(tree.parts(name))
    return parts | {other for other, own in tree.aliases.items() if own in parts}


def _fit(name: str, prefix: str, rests: list[tuple[str, ...]], counts: Counter[str]) -> Fit:
    full = {rest: ".".join((prefix, *rest)) if prefix else ".".join(rest) for rest in rests}
    own = dict.fromkeys(rest[0] for rest, whole in full.items() if architecture(whole) is None)
    return Fit(
        name, f"{prefix}." if prefix else "", sum(counts[whole] for whole in full.values()), tuple(own)
    )


def load(tree: ModuleTree, other: ModuleTree, names: Sequence[str]) -> Load:
    """The class of `tree` that places the most of these names.

    A top level of the names that the class lacks may stand for an attribute that holds a class with a place
    for all below it, or one of the same outside class as `other`, the code that the names belong to, has
    there.
    """
    tops: dict[str, list[tuple[str, ...]]] = {}
    for name in names:
        first, *rest = segments(name)
        tops.setdefault(first, []).append(tuple(rest))
    best = Load()
    for candidate in tree.classes:
        prefixes: dict[str, str] = {}
        missing: list[str] = []
        for top, rests in tops.items():
            lacking = [rest for rest in rests if not tree.holds(candidate, (top, *rest))]
            there = {parts[top].type for root in other.classes if top in (parts := other.parts(root))} - {""}
            for attribute, part in tree.parts(candidate).items() if len(lacking) == len(rests) else ():
                if _stands_for(tree, part, rests, there):
                    lacking, prefixes[f"{top}."] = [], f"{attribute}."
                    break
            missing += [".".join((top, *rest)) for rest in lacking]
        found = Load(candidate, len(names) - len(missing), prefixes, tuple(missing))
        best = max(best, found, key=lambda load: (load.placed, -len(load.prefixes)))
    return best


def _stands_for(tree: ModuleTree, part: Part, rests: Iterable[tuple[str, ...]], there: set[str]) -> bool:
    """Whether a part has a place for all of these names, or is of an outside class that the other side has
    `there`.
    """
    if part.type in tree.classes:
        return part.kind == "module" and all(rest and tree.holds(part.type, rest) for rest in rests)
    return part.kind == "module" and part.type in there

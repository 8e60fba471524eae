"""The best renaming of one checkpoint's tensor names into another's.

Two name trees are laid over each other from the top: children are paired so that the most tensors find a
partner, equal names before different ones, layer indices only with equal indices, and a wrapping level of
one side may be skipped. What differs is written down as a map from prefix to prefix in which `*` stands for
a layer index. The map is then applied to the names, and only what it truly explains is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from detector.evidence.checkpoints.layout import Tensor
from detector.evidence.checkpoints.nametree import Node, grown

_DIFFERENT = 0.95
"""what an explained tensor is worth for each level whose name differs; a level skipped costs the same"""
_UNKNOWN_SHAPE = 0.3
"""what two tensors of different names and unknown shapes are worth: hardly more than their place says"""
_COMPARISONS = 30_000
"""pairs of subtrees looked at; beyond that only equal names are paired"""
_RULES = 64
"""a map of more rules is left as found, and is hardly a renaming"""
_CHILDREN = 64
"""a node with more children that are no indices pairs equal names only"""

Path: TypeAlias = "tuple[str, ...]"


@dataclass(frozen=True, slots=True)
class _Overlay:
    """The best way to lay one subtree over another: its worth, and the children paired (paths from the two
    nodes).
    """

    worth: float
    pairs: tuple[tuple[Path, Path, Node, Node], ...] = ()


@dataclass(frozen=True)
class Renaming:
    """A map from prefixes of A's names to prefixes of B's; a prefix is empty, ends with a dot, or is a
    whole name.
    """

    prefixes: Mapping[str, str]

    @cached_property
    def _rules(self) -> list[tuple[Path, Path, bool]]:
        rules = [(_path(old), _path(new), _is_whole(old)) for old, new in self.prefixes.items()]
        return sorted(rules, key=lambda rule: (-len(rule[0]), rule))

    def apply(self, name: str) -> str:
        """The name in B's naming: the longest fitting prefix is replaced, indices are kept in their order."""
        parts = tuple(name.split("."))
        for old, new, whole in self._rules:
            rest = parts[len(old) :]
            if bool(rest) != whole and _fits(parts, old):
                indices = iter([part for part, rule in zip(parts, old, strict=False) if rule == "*"])
                return ".".join((*(next(indices, "*") if part == "*" else part for part in new), *rest))
        return name

    def rule(self, name: str) -> str | None:
        """The prefix whose rule applies to the name; None where the name stays as it is."""
        parts = tuple(name.split("."))
        for old, _, whole in self._rules:
            if bool(parts[len(old) :]) != whole and _fits(parts, old):
                return ".".join(old) + ("" if whole or not old else ".")
        return None

    def apply_all(self, names: Iterable[str]) -> dict[str, str]:
        """Old name -> new name."""
        return {name: self.apply(name) for name in names}


def _is_whole(prefix: str) -> bool:
    return bool(prefix) and not prefix.endswith(".")


def _path(prefix: str) -> Path:
    return tuple(prefix.removesuffix(".").split(".")) if prefix else ()


def _fits(parts: Path, rule: Path) -> bool:
    return len(parts) >= len(rule) and all(
        part == expected or (expected == "*" and part.isdigit())
        for part, expected in zip(parts, rule, strict=False)
    )


def best_renaming(a: Sequence[Tensor], b: Sequence[Tensor]) -> Renaming:
    """The renaming that explains the most of A's names with B's; empty where the names are equal already."""
    shared: dict[object, Node] = {}
    roots = grown(a, shared), grown(b, shared)
    overlays = _Overlays()
    overlays.worth(*roots)
    counts: Counter[tuple[str, str]] = Counter()
    for old, new, leaves in _differences(overlays, (), (), *roots):
        counts[old, new] += leaves
    prefixes: dict[str, str] = {}
    for (old, new), _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        prefixes.setdefault(old, new)
    names, targets = [tensor.name for tensor in a], {tensor.name for tensor in b}
    return _pruned(_completed(prefixes, names, targets), names, targets)


def _completed(prefixes: dict[str, str], names: list[str], targets: set[str]) -> dict[str, str]:
    """The map with names that stay as they are although a rule above them would move them away."""
    moved = Renaming(prefixes).apply_all(names)
    reached = targets.intersection(moved.values())
    stay = [
        name for name, new in moved.items() if new not in targets and name in targets and name not in reached
    ]
    return {**prefixes, **{name: name for name in stay[:_RULES]}}


def _pruned(prefixes: dict[str, str], names: list[str], targets: set[str]) -> Renaming:
    """The renaming without the rules that do not raise the number of names explained."""
    kept = dict(prefixes)

    def explained(rules: dict[str, str]) -> int:
        return len(targets.intersection(Renaming(rules).apply_all(names).values()))

    total = explained(kept)
    if len(kept) <= _RULES:
        for old in sorted(prefixes, key=lambda rule: (-rule.count("."), rule)):
            without = {key: value for key, value in kept.items() if key != old}
            if (count := explained(without)) >= total:
                kept, total = without, count
    return Renaming(dict(sorted(kept.items())))


class _Overlays:
    """Memo of the best overlay of each pair of distinct subtrees."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], _Overlay] = {}

    def worth(self, a: Node, b: Node) -> float:
        key = (a.key, b.key)
        if key not in self.known:
            self.known[key] = self._best(a, b)
        return self.known[key].worth

    def _best(self, a: Node, b: Node) -> _Overlay:
        if a.is_tensor or b.is_tensor:
            fits = a.is_tensor and b.is_tensor and _same_form(a, b)
            return _Overlay(1.0 if fits else 0.0)
        best = self._children(a, b)
        if len(self.known) > _COMPARISONS:
            return best
        # a level that only one side has: its child that holds most of the tensors stands in its place
        for part, child in a.children.items():
            if 2 * child.leaves >= a.leaves and not child.is_tensor:
                worth = self.worth(child, b) * _DIFFERENT
                best = max(
                    best, _Overlay(worth, (((part,), (), child, b),)), key=lambda overlay: overlay.worth
                )
        for part, child in b.children.items():
            if 2 * child.leaves >= b.leaves and not child.is_tensor:
                worth = self.worth(a, child) * _DIFFERENT
                best = max(
                    best, _Overlay(worth, (((), (part,), a, child),)), key=lambda overlay: overlay.worth
                )
        return best

    def _children(self, a: Node, b: Node) -> _Overlay:
        candidates = sorted(self._candidates(a, b), key=lambda entry: (-entry[0], entry[1:]))
        used_a: set[str] = set()
        used_b: set[str] = set()
        worth, pairs = 0.0, []
        for value, part_a, part_b in candidates:
            if part_a not in used_a and part_b not in used_b:
                used_a.add(part_a)
                used_b.add(part_b)
                worth += value
                pairs.append(((part_a,), (part_b,), a.children[part_a], b.children[part_b]))
        return _Overlay(worth, tuple(pairs))

    def _candidates(self, a: Node, b: Node) -> Iterator[tuple[float, str, str]]:
        for part in a.children.keys() & b.children.keys():
            if value := self.worth(a.children[part], b.children[part]):
                yield value, part, part
        names_a = [part for part in a.children if not part.isdigit()]
        names_b = [part for part in b.children if not part.isdigit()]
        if max(len(names_a), len(names_b)) > _CHILDREN or len(self.known) > _COMPARISONS:
            return
        for part_a in names_a:
            for part_b in names_b:
                if part_a != part_b and (value := self._renamed(a.children[part_a], b.children[part_b])):
                    yield value, part_a, part_b

    def _renamed(self, a: Node, b: Node) -> float:
        known = a.shape is not None and b.shape is not None
        share = _DIFFERENT if known or not a.is_tensor else _UNKNOWN_SHAPE
        return self.worth(a, b) * share


def _same_form(a: Node, b: Node) -> bool:
    return a.shape is None or b.shape is None or a.shape == b.shape


def _differences(
    overlays: _Overlays, at_a: Path, at_b: Path, a: Node, b: Node
) -> Iterator[tuple[str, str, int]]:
    """Every place where the overlay changes a name: prefix of A, prefix of B, tensors below."""
    overlay = overlays.known.get((a.key, b.key))
    for old, new, child_a, child_b in overlay.pairs if overlay else ():
        below_a = (*at_a, *("*" if part.isdigit() else part for part in old))
        below_b = (*at_b, *("*" if part.isdigit() else part for part in new))
        inner = overlays.known.get((child_a.key, child_b.key))
        # where B has a further level right below, the rule for the same prefix of A comes from there
        if old != new and not (inner and inner.pairs and not inner.pairs[0][0]):
            end = "" if child_a.is_tensor else "."
            yield _prefix(below_a, end), _prefix(below_b, end), child_a.leaves
        yield from _differences(overlays, below_a, below_b, child_a, child_b)


def _prefix(path: Path, end: str) -> str:
    return ".".join(path) + end if path else ""

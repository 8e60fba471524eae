"""Complete pairs of unrelated packages: how often functions of one name have the very same terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from benchmarks.evalues.pairs import Package
from detector.match.completion import telling


def complete_pairs(compared: Iterable[tuple[Package, Package]]) -> tuple[int, int]:
    """Over several comparisons: pairs of functions of the same name and enough statements, and how many of
    these are complete.
    """
    pairs = complete = 0
    for a, b in compared:
        (names_a, terms_a), (names_b, terms_b) = _counted(a), _counted(b)
        pairs += sum(count * names_b[name] for name, count in names_a.items())
        complete += sum(count * terms_b[key] for key, count in terms_a.items())
    return pairs, complete


def _counted(package: Package) -> tuple[Counter[str], Counter[tuple[str, bytes]]]:
    """Functions by name, and by name and terms."""
    names: Counter[str] = Counter()
    terms: Counter[tuple[str, bytes]] = Counter()
    side = package.side()
    for row in telling(side):
        name = side.last_name(row)
        names[name] += 1
        terms[name, package.bags.of(row)[0].tobytes()] += 1
    return names, terms

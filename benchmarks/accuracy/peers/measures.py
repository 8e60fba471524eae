"""How good a ranking of pairs is: recall without a false report, top-1, area under precision and recall."""

from __future__ import annotations

from collections.abc import Collection, Mapping

Pair = tuple[str, str]


def recall_without_false(scores: Mapping[Pair, float], true: Collection[Pair]) -> float:
    """The share of true pairs that score higher than every other pair."""
    worst = max((score for pair, score in scores.items() if pair not in true), default=0.0)
    return sum(scores.get(pair, 0.0) > worst for pair in true) / len(true)


def first(scores: Mapping[Pair, float], true: Collection[Pair]) -> float:
    """The share of true pairs in which the right partner alone scores highest for the left side."""
    best: dict[str, list[tuple[float, str]]] = {}
    for (left, right), score in scores.items():
        best.setdefault(left, []).append((score, right))
    won = 0
    for left, right in true:
        ranked = sorted(best.get(left, []), reverse=True)
        alone = len(ranked) < 2 or ranked[0][0] > ranked[1][0]
        won += bool(ranked) and ranked[0][1] == right and ranked[0][0] > 0 and alone
    return won / len(true)


def area(scores: Mapping[Pair, float], true: Collection[Pair]) -> float:
    """Average precision over all pairs; those of equal score come together, those without one never come."""
    levels: dict[float, list[bool]] = {}
    for pair, score in scores.items():
        if score > 0:
            levels.setdefault(score, []).append(pair in true)
    found = seen = 0
    total = 0.0
    for _, hits in sorted(levels.items(), reverse=True):
        found, seen = found + sum(hits), seen + len(hits)
        total += sum(hits) * found / seen
    return total / len(true)

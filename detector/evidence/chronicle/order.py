"""Which side held the matched parts first, how sure that is, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from detector.evidence.chronicle.lineage import Lineage
from detector.evidence.finding import Span
from detector.snapshot.history import Commit

LIMITS = (
    "dates in commits can be set at will",
    "an import without history shows only when it was made",
)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Held:
    """A matched part, its bits, and the first commit of either side that held it (None: not found)."""

    a: Span
    b: Span
    bits: float
    first_a: Commit | None
    first_b: Commit | None


@dataclass(frozen=True, slots=True)
class Direction:
    """`earlier`: the side that held most of the parts first ("" if undecided), `share` of the bits that say
    so.
    """

    earlier: Literal["a", "b", ""]
    confidence: Literal["none", "low", "moderate", "high"]
    share: float
    sentence: str
    limits: tuple[str, ...]


def direction(held: Sequence[Held], sides: tuple[Lineage, Lineage]) -> Direction:
    """Weigh the parts by bits. Raises nothing: commits without a usable date count for neither side."""
    dated = [part for part in held if _gap(part) is not None]
    total = sum(part.bits for part in dated)
    first = {
        "a": [part for part in dated if (_gap(part) or timedelta()) > timedelta()],
        "b": [part for part in dated if (_gap(part) or timedelta()) < timedelta()],
    }
    bits = {side: sum(part.bits for part in parts) for side, parts in first.items()}
    earlier: Literal["a", "b"] = "a" if bits["a"] > bits["b"] else "b"
    share = bits[earlier] / total if total else 0.0
    if share <= 0.6:
        return Direction("", "none", share, "the order in time is not clear", LIMITS)
    parts = first[earlier]
    other = "b" if earlier == "a" else "a"
    gaps = sorted(abs(_gap(part) or timedelta()) for part in parts)
    limits = list(LIMITS)
    growth = {(part.first_a if earlier == "a" else part.first_b) for part in parts}
    lineage = sides[0] if earlier == "a" else sides[1]
    if len(lineage.commits) < 3:
        limits.append(f"{earlier.upper()}'s history has only {len(lineage.commits)} commits")
    days = gaps[len(gaps) // 2] / _DAY
    confidence: Literal["low", "moderate", "high"] = "low"
    if share >= 0.9 and len(parts) >= 3 and days >= 1 and len(lineage.commits) >= 3:
        # work that grew over several commits is harder to backdate than one import
        confidence = "high" if len(growth) >= 3 or days >= 30 else "moderate"
    sentence = (
        f"{earlier.upper()} held {len(parts)} of {len(dated)} matched parts before {other.upper()} did, "
        f"by {days:.1f} days in the middle (confidence {confidence})"
    )
    return Direction(earlier, confidence, share, sentence, tuple(limits))


def _gap(part: Held) -> timedelta | None:
    """Time from A's first commit with the part to B's; None where either is unknown."""
    times = [_time(commit) for commit in (part.first_a, part.first_b)]
    return times[1] - times[0] if times[0] is not None and times[1] is not None else None


def _time(commit: Commit | None) -> datetime | None:
    if commit is None or not commit.at:
        return None
    return datetime.fromisoformat(commit.at.replace("Z", "+00:00"))

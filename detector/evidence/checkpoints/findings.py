"""What was learnt of two sides' checkpoints, in words: findings with their strength
(docs/evidence/weights.md).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from detector.evidence.checkpoints.collection import Checkpoint
from detector.evidence.checkpoints.likeness import Likeness, word_bits
from detector.evidence.checkpoints.loading import Fit, Load
from detector.evidence.checkpoints.modules import ModuleClass
from detector.evidence.checkpoints.profile import Agreement
from detector.evidence.checkpoints.relation import RELATED, noisy_side
from detector.evidence.checkpoints.valuation import Valuation
from detector.evidence.finding import Finding, Json, Reason, Rename, Span, Strength

_LISTED = 200
_MATRIX_BITS = 30.0
"""bits of a matrix whose values are related: far fewer than they are, as a model's matrices hang together"""
_SIMPLE = 4
"""a renaming of more rules makes any two deep networks alike; it needs rare names to say something"""
_MOST_BITS = 3000.0
_PHRASES = {
    "identical": "hold the same values",
    "scaled": "are the other's values times a constant",
    "noise": "are the other's values plus Gaussian noise",
    "permuted rows": "hold the other's rows in another order",
    "fine-tuned": "differ by a small structured update, as after further training",
    "pruned": "are the other's values with some set to zero",
    "quantised": "are the other's values rounded to 8 bits or fewer",
}


def names_finding(likeness: Likeness, explained_by: tuple[str, ...] = ()) -> Finding:
    """Tensor names that become the other side's by renaming prefixes."""
    a, b, renaming = likeness.a, likeness.b, likeness.renaming.prefixes
    changed = f"after {len(renaming)} prefix renames" if renaming else "without any renaming"
    title = f"{len(likeness.pairs)} of {len(a.tensors)} tensor names are equal {changed}"
    if likeness.same_size:
        title += f"; equal total sizes ({a.total_size:,} bytes)"
    reasons = [Reason(f"both sides name a tensor's part {word}", bits) for word, bits in likeness.words[:40]]
    if likeness.same_size:
        reasons.append(Reason("both state the same total size in bytes", likeness.size_bits))
    listed: list[Json] = [
        [one.name, other.name, shape_text(one.shape), one.dtype] for one, other in likeness.pairs[:_LISTED]
    ]
    details: dict[str, Json] = {
        "renaming": dict(renaming),
        "explained": len(likeness.pairs),
        "of": len(a.tensors),
        "of_b": len(b.tensors),
        "pairs": listed,
        "own": list(likeness.own[:_LISTED]),
        "shapes": list(likeness.shapes),
        "dtypes": list(likeness.dtypes),
        "total_size": [a.total_size, b.total_size],
    }
    return Finding(
        "weights",
        title,
        names_strength(likeness),
        likeness.bits,
        (Span(a.path),),
        (Span(b.path),),
        renames=tensor_renames(likeness),
        explained_by=explained_by,
        reasons=tuple(reasons),
        details=details,
    )


def names_strength(likeness: Likeness) -> Strength:
    """Names of standard architectures say "weak" at most; rare names of one's own say up to "strong"."""
    strained = likeness.share < 0.5 or len(likeness.renaming.prefixes) > _SIMPLE
    if strained and likeness.bits < 25:
        return "none"
    if likeness.bits < 25 or len(likeness.own) < 3:
        return "weak"
    same, known = likeness.shapes
    whole = likeness.share >= 0.99 and (likeness.same_size or (known > 0 and same == known))
    return "strong" if whole and likeness.bits >= 40 and len(likeness.own) >= 5 else "moderate"


def tensor_renames(likeness: Likeness) -> tuple[Rename, ...]:
    """Each prefix rename with the number of tensors it explains and of those it would move to no tensor."""
    agreeing: Counter[str] = Counter()
    for one, other in likeness.pairs:
        rule = likeness.renaming.rule(one.name)
        if rule is not None and one.name != other.name:
            agreeing[rule] += 1
    paired = {one.name for one, _ in likeness.pairs}
    contradicting = Counter(
        rule
        for tensor in likeness.a.tensors
        if tensor.name not in paired and (rule := likeness.renaming.rule(tensor.name)) is not None
    )
    return tuple(
        Rename("tensor", old, new, agreeing[old], contradicting[old])
        for old, new in likeness.renaming.prefixes.items()
        if agreeing[old]
    )


def values_finding(a: Checkpoint, b: Checkpoint, valuation: Valuation) -> Finding:
    """How the values of paired tensors are related."""
    weighty = valuation.weighty
    counts = Counter(pair.relation.kind for pair in weighty)
    related = [(kind, count) for kind, count in counts.most_common() if kind in RELATED]
    parts = [f"{count} {_PHRASES[kind]}" for kind, count in related] or ["none are related"]
    title = f"of {len(weighty)} matrices compared by value, {'; '.join(parts)}"
    sigma = valuation.sigma
    if sigma is not None:
        title += f" (sigma {sigma:.3g}, about 1/{1 / sigma:.0f})"
    number = sum(count for _, count in related)
    return Finding(
        "weights",
        title,
        values_strength(valuation),
        min(_MOST_BITS, _MATRIX_BITS * number),
        (Span(a.path),),
        (Span(b.path),),
        reasons=tuple(Reason(_PHRASES[kind], _MATRIX_BITS * count) for kind, count in related),
        details={
            "renaming": {},
            "explained": number,
            "of": len(weighty),
            "relations": {str(kind): count for kind, count in counts.items()},
            "tensors": [
                [pair.a.name, pair.b.name, pair.relation.kind, pair.relation.correlation, pair.relation.scale]
                for pair in valuation.pairs[:_LISTED]
            ],
            "noise": _noise(valuation),
        },
    )


def values_strength(valuation: Valuation) -> Strength:
    """Related values never arise independently: "very strong", less where few matrices or only some are
    related.
    """
    number = len(valuation.of(RELATED))
    if not number:
        return "none"
    if number < 3 or valuation.related < 0.2:
        return "moderate"
    is_whole = valuation.related >= 0.5 and len(valuation.of(RELATED - {"fine-tuned"})) >= 3
    return "very strong" if is_whole else "strong"


def _noise(valuation: Valuation) -> Json:
    """The noise over all tensors; its histogram is that of the largest tensor."""
    noisy = valuation.of(("noise",))
    if not noisy:
        return None
    widest = max(noisy, key=lambda pair: (pair.relation.read, pair.a.name)).relation
    sigmas = [pair.relation.difference.sigma for pair in noisy]
    read = sum(pair.relation.read for pair in noisy)
    with_a, with_b = (
        sum(pair.relation.read * getattr(pair.relation.difference, side) for pair in noisy) / read
        for side in ("with_a", "with_b")
    )
    return {
        "sigma": statistics.median(sigmas),
        "sigma_range": [min(sigmas), max(sigmas)],
        "on_side": noisy_side(with_a, with_b, read),
        "skew": widest.difference.skew,
        "kurtosis": widest.difference.kurtosis,
        "distance": widest.difference.distance,
        "histogram": [list(bar) for bar in widest.difference.histogram],
    }


def profile_finding(a: Checkpoint, b: Checkpoint, agreements: Sequence[Agreement]) -> Finding | None:
    """Profiles of standard deviations that agree; None where they do not, or too few could be compared."""
    high = [agreement for agreement in agreements if agreement.detrended > 0.9]
    if len(high) < 2 or 2 * len(high) < len(agreements):
        return None
    roles = ", ".join(f"{agreement.role} {agreement.detrended:.2f}" for agreement in high)
    return Finding(
        "weights",
        f"deviations of attention matrices follow one profile over {high[0].layers} layers ({roles})",
        "weak",
        0.0,
        (Span(a.path),),
        (Span(b.path),),
        details={
            "profile": [
                [found.role, found.layers, found.correlation, found.detrended] for found in agreements
            ]
        },
    )


def fit_finding(
    code_side: str, found: ModuleClass, fit: Fit, checkpoint: Checkpoint, words: Sequence[tuple[str, float]]
) -> Finding:
    """A class of one side has a place for every tensor of a part of the other side's checkpoint.

    `words`: the rare names that it shares with the checkpoint, with bits; 0 bits for those counted elsewhere.
    """
    where = f"below {fit.prefix}" if fit.prefix else "in all"
    owner, other = ("A", "B") if code_side == "a" else ("B", "A")
    bits = sum(value for _, value in words)
    code, tensors = (
        (Span(found.path, found.name, found.start_line, found.end_line),),
        (Span(checkpoint.path),),
    )
    return Finding(
        "weights",
        f"{owner}'s class {found.name} has a place for each of the {fit.tensors} tensors {where} "
        f"in {other}'s checkpoint",
        "moderate" if sum(word_bits(word) for word, _ in words) >= 25 and len(words) >= 3 else "weak",
        bits,
        code if code_side == "a" else tensors,
        tensors if code_side == "a" else code,
        reasons=tuple(
            Reason(f"the attribute {word} is where the tensor's name says", value) for word, value in words
        ),
        details={"renaming": {}, "explained": fit.tensors, "of": len(checkpoint.tensors), "pairs": []},
    )


def load_finding(
    code_side: str,
    found: ModuleClass,
    loads: tuple[Load, Load],
    checkpoint: Checkpoint,
    renaming: Mapping[str, str],
) -> Finding:
    """A class of one side would load the other side's checkpoint after the renaming.

    `loads`: what this side's code places of it, and what the checkpoint's own side does.
    """
    result, own = loads
    owner, other = ("A", "B") if code_side == "a" else ("B", "A")
    of = len(checkpoint.tensors)
    title = (
        f"after the renaming, {owner}'s class {found.name} loads {result.placed} of {of} tensors "
        f"of {other}'s checkpoint; {other}'s own code loads {own.placed}"
    )
    code, tensors = (
        (Span(found.path, found.name, found.start_line, found.end_line),),
        (Span(checkpoint.path),),
    )
    return Finding(
        "weights",
        title,
        "weak",
        0.0,
        code if code_side == "a" else tensors,
        tensors if code_side == "a" else code,
        details={
            "renaming": {**renaming, **result.prefixes},
            "explained": result.placed,
            "of": of,
            "own": own.placed,
            "pairs": [],
        },
    )


def shape_text(shape: tuple[int, ...] | None) -> str:
    """A shape as text, empty where unknown."""
    return "" if shape is None else "x".join(map(str, shape)) or "scalar"

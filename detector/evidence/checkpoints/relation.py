"""How the values of two tensors of one shape are related: one of a few relations, and the measures it rests
on.

The measures are effect sizes with an allowance for the sample's size, not significance alone: among
millions of values every real difference is significant. Thresholds and their reasons:
docs/evidence/weights.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating[Any]]

Kind = Literal[
    "identical",
    "scaled",
    "noise",
    "permuted rows",
    "fine-tuned",
    "pruned",
    "quantised",
    "unrelated",
    "constant",
]
RELATED: frozenset[Kind] = frozenset(
    {"identical", "scaled", "noise", "permuted rows", "fine-tuned", "pruned", "quantised"}
)
CORRELATION = 0.3
"""tensors of independent trainings correlate by about 1/sqrt(n) when they are matrices; below this:
unrelated
"""
_WINDOW = 256
"""rows and columns of the difference whose singular values are looked at"""
_LEVELS = 256
"""distinct values of an 8-bit quantisation"""
_ROUNDING = {"BF16": 2.0**-8, "F16": 2.0**-10, "F8_E4M3": 2.0**-3, "F8_E5M2": 2.0**-2}
"""largest relative rounding error, by dtype; float32 and wider: 2^-20"""


@dataclass(frozen=True, slots=True)
class Difference:
    """The shape of a difference A - B. `sigma`: standard deviation; `skew` and `kurtosis` (excess) are 0
    for a normal law.

    `distance`: the largest gap between its distribution and the normal one (Kolmogorov-Smirnov).
    `low_rank`: share of its energy in singular values beyond those of independent noise (Marchenko and
    Pastur 1967). `with_a`, `with_b`: correlation of the difference with either side; noise added to one
    side is uncorrelated with the other. `histogram`: (from, to, count), in units of the values.
    """

    sigma: float = 0.0
    skew: float = 0.0
    kurtosis: float = 0.0
    distance: float = 0.0
    low_rank: float = 0.0
    with_a: float = 0.0
    with_b: float = 0.0
    histogram: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """`kind` is the relation, `correlation` Pearson's, `scale` the factor c of A = c B, `read` the values
    compared.
    """

    kind: Kind
    correlation: float
    scale: float
    read: int
    difference: Difference = Difference()

    @property
    def noisier(self) -> Literal["a", "b", ""]:
        """The side that holds the noise, "" if that is not clear."""
        side = noisy_side(self.difference.with_a, self.difference.with_b, self.read)
        return side if self.kind == "noise" else ""


def noisy_side(with_a: float, with_b: float, read: int) -> Literal["a", "b", ""]:
    """The side that holds an independent difference, by its correlations with both over `read` values.

    Such a difference is uncorrelated with what it was added to. "" where that is not clear.
    """
    allowed = 4 / math.sqrt(max(1, read))
    low, high = sorted((abs(with_a), abs(with_b)))
    if low > allowed or high < 2 * allowed:
        return ""
    return "a" if abs(with_b) < abs(with_a) else "b"


def relate(a: Floats, b: Floats, dtypes: tuple[str, str] = ("F32", "F32")) -> Relation:
    """Tell how two matrices of one shape are related. Values that are not finite count as zero."""
    import numpy as np  # noqa: PLC0415

    a, b = (np.nan_to_num(side.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0) for side in (a, b))
    spread_a, spread_b = float(a.std()), float(b.std())
    correlation = _correlation(a, b)
    squares = float((b * b).sum())
    scale = float((a * b).sum()) / squares if squares else 0.0
    plain = Relation("unrelated", correlation, scale, a.size)
    if spread_a <= 1e-12 * abs(float(a.mean())) or spread_b <= 1e-12 * abs(float(b.mean())):
        return replace(plain, kind="constant")
    rounding = sum(_ROUNDING.get(dtype, 2.0**-20) for dtype in dtypes)
    exact = _exact_kind(a, b, scale, rounding)
    if exact is not None:
        return replace(plain, kind=exact)
    if abs(correlation) < CORRELATION:
        return replace(plain, kind="permuted rows" if _rows_permuted(a, b) else "unrelated")
    difference = _difference(a, b)
    return replace(plain, kind=_inexact_kind(a, b, plain, difference), difference=difference)


def _exact_kind(a: Floats, b: Floats, scale: float, rounding: float) -> Kind | None:
    """Relations that leave no difference: the same values, a multiple of them, some of them set to zero."""
    import numpy as np  # noqa: PLC0415

    size = float(np.sqrt((a * a).mean()))
    if float(np.sqrt(((a - b) ** 2).mean())) <= rounding * size:
        return "identical"
    if scale and float(np.sqrt(((a - scale * b) ** 2).mean())) <= rounding * size:
        return "scaled"
    for cut, whole in ((a, b), (b, a)):
        kept = cut != 0
        share = float(kept.mean())
        if 0.02 < share < float((whole != 0).mean()) - 0.05:
            left = float(np.sqrt(((cut - whole)[kept] ** 2).mean()))
            if left <= rounding * float(np.sqrt((cut[kept] ** 2).mean())):
                return "pruned"
    return None


def _inexact_kind(a: Floats, b: Floats, found: Relation, difference: Difference) -> Kind:
    relative = difference.sigma / max(float(b.std()), 1e-30)
    if _is_quantised(a, b) or (relative < 0.1 and difference.kurtosis < -0.6):
        return "quantised"
    allowance = 1 / math.sqrt(found.read)
    is_normal = (
        abs(difference.skew) <= max(0.05, 10 * allowance)
        and abs(difference.kurtosis) <= max(0.3, 20 * allowance)
        and difference.distance <= max(0.03, 1.63 * allowance)
    )
    is_added = min(abs(difference.with_a), abs(difference.with_b)) <= max(0.02, 4 * allowance)
    return "noise" if is_normal and is_added and difference.low_rank < 0.05 else "fine-tuned"


def _difference(a: Floats, b: Floats) -> Difference:
    import numpy as np  # noqa: PLC0415

    d = a - b
    sigma = float(d.std())
    unit = (d - d.mean()) / sigma
    square = unit * unit
    edges = np.linspace(-8.0, 8.0, 1601)
    counts, _ = np.histogram(unit, bins=edges)
    normal = np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges[1:]])
    distance = float(np.abs(np.cumsum(counts) / unit.size - normal).max())
    wide = counts.reshape(40, 40).sum(axis=1)
    places = edges[::40] * sigma + float(d.mean())
    bars = tuple((float(places[i]), float(places[i + 1]), int(wide[i])) for i in range(40) if wide[i])
    return Difference(
        sigma,
        float((square * unit).mean()),
        float((square * square).mean()) - 3.0,
        distance,
        _low_rank(d),
        _correlation(d, a),
        _correlation(d, b),
        bars,
    )


def _low_rank(d: Floats) -> float:
    """Share of the energy of the first rows and columns beyond the edge of independent noise, sigma (sqrt m
    + sqrt n).
    """
    import numpy as np  # noqa: PLC0415

    window = d[:_WINDOW, :_WINDOW]
    if min(window.shape) < 16:
        return 0.0
    singular = np.linalg.svd(window - window.mean(), compute_uv=False)
    # the median singular value gives the noise level, since a few large ones cannot move it
    ratio = min(window.shape) / max(window.shape)
    level = float(np.median(singular)) / (math.sqrt(max(window.shape)) * math.sqrt(_median_eigenvalue(ratio)))
    edge = 1.1 * level * (math.sqrt(window.shape[0]) + math.sqrt(window.shape[1]))
    energy = singular**2
    return float(energy[singular > edge].sum() / max(float(energy.sum()), 1e-300))


def _median_eigenvalue(ratio: float) -> float:
    """Median of the Marchenko-Pastur law of unit variance for an aspect ratio in (0, 1], by its density."""
    import numpy as np  # noqa: PLC0415

    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    # x = low + (high - low) sin^2 t takes the square roots at both ends of the density away
    t = (np.arange(4000) + 0.5) / 4000 * (math.pi / 2)
    x = low + (high - low) * np.sin(t) ** 2
    weight = np.sin(t) ** 2 * np.cos(t) ** 2 / np.maximum(x, 1e-12)
    total = np.cumsum(weight)
    return float(x[int(np.searchsorted(total, total[-1] / 2))])


def _is_quantised(a: Floats, b: Floats) -> bool:
    """Whether the rows of exactly one side hold no more distinct values than 8 bits can tell apart."""
    import numpy as np  # noqa: PLC0415

    if a.shape[1] < 2 * _LEVELS:
        a, b = a.reshape(1, -1), b.reshape(1, -1)
    if a.shape[1] < 2 * _LEVELS:
        return False
    few = [all(len(np.unique(row)) <= _LEVELS for row in side[:8]) for side in (a, b)]
    return few[0] != few[1]


def _rows_permuted(a: Floats, b: Floats) -> bool:
    """Whether most of a few rows of A have a nearly equal row elsewhere in B."""
    import numpy as np  # noqa: PLC0415

    rows, width = a.shape
    if rows < 8 or width < 64:
        return False
    chosen = np.linspace(0, rows - 1, 24).astype(int)
    likeness = np.abs(_unit_rows(a[chosen]) @ _unit_rows(b).T)
    best = likeness.argmax(axis=1)
    moved = (likeness.max(axis=1) > 0.8) & (best != chosen)
    return bool(moved.mean() > 0.6)


def _unit_rows(matrix: Floats) -> Floats:
    import numpy as np  # noqa: PLC0415

    centred = matrix - matrix.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-30))


def _correlation(a: Floats, b: Floats) -> float:
    import numpy as np  # noqa: PLC0415

    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else 0.0

"""Pooling: several weak matches between the members of two classes, weighed as one."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from match_factory import every, row, side, significance

from detector.match.pooling import Pool, pools
from detector.match.side import Side
from detector.match.significance import Significance

MEMBERS = (
    """
    def grow(self, x):
        return torch.nn.functional.pad(x, (3, 0), value=0.125).unfold(-1, 37, 11)
""",
    """
    def fold(self, x):
        y = x.erfinv().clamp(min=3e-9)
        return y.logsumexp(dim=1).flip(-1)
""",
    """
    def turn(self, x):
        return torch.fft.rfft(x, n=511, norm="ortho").abs().pow(1.7)
""",
    """
    def bend(self, x):
        return torch.cdist(x, x.roll(13, dims=1), p=0.5).argsort(descending=True)
""",
)


def layer(name: str, *members: str) -> str:
    return f"import torch\n\nclass {name}(torch.nn.Module):{''.join(members)}"


def pooled(a: Side, b: Side, test: Significance) -> list[Pool]:
    return pools(a, b, test.scored(every(a, b)), test)


def names(a: Side, b: Side, pool: Pool) -> set[tuple[str, str]]:
    pairs = every(a, b)
    return {(a.units[pairs.a[at]].unit.name, b.units[pairs.b[at]].unit.name) for at in pool.rows}


def test_several_members_are_less_likely_by_chance_than_any_of_them() -> None:
    a, b = side(a=layer("Layer", *MEMBERS)), side(b=layer("Copy", *MEMBERS))
    test = significance(a, b, 10.0)
    (pool,) = pooled(a, b, test)
    assert names(a, b, pool) == {(f"Layer.{n}", f"Copy.{n}") for n in ("grow", "fold", "turn", "bend")}
    scored = test.scored(every(a, b))
    total = float(len(a.units) * len(b.units))
    assert pool.e_value < min(test.law.expected(float(scored.scores[at]), total) for at in pool.rows)


def test_the_sum_follows_karlin_and_altschul() -> None:
    a, b = side(a=layer("Layer", *MEMBERS[:3])), side(b=layer("Copy", *MEMBERS[:3]))
    test = significance(a, b, 10.0)
    (pool,) = pooled(a, b, test)
    scored = test.scored(every(a, b))
    total = sum(test.law.bits(float(scored.scores[at])) * log(2) - log(3 * 3) for at in pool.rows)
    assert len(pool.rows) == 3
    assert pool.e_value == pytest.approx(2**3 * exp(-total) * total**2 / (6 * 2))


def test_two_members_are_no_sum() -> None:
    a, b = side(a=layer("Layer", *MEMBERS[:2])), side(b=layer("Copy", *MEMBERS[:2]))
    assert not pooled(a, b, significance(a, b, 10.0))


def test_a_member_counts_once_however_many_are_like_it() -> None:
    again = MEMBERS[0].replace("grow", "again")
    a, b = side(a=layer("Layer", *MEMBERS[:2])), side(b=layer("Copy", *MEMBERS[:2], again))
    assert not pooled(a, b, significance(a, b, 10.0))


def test_members_in_different_classes_are_not_pooled() -> None:
    a = side(a=layer("Layer", *MEMBERS))
    b = side(b=layer("First", *MEMBERS[:2]), c=layer("Second", *MEMBERS[2:]))
    assert not pooled(a, b, significance(a, b, 10.0))


def test_what_public_code_explains_lends_no_weight_to_the_others() -> None:
    a, b = side(a=layer("Layer", *MEMBERS)), side(b=layer("Copy", *MEMBERS))
    test = significance(a, b, 10.0)
    known = {row(a, "Layer.grow")}
    (pool,) = pooled(a, b, replace(test, public=lambda pairs: np.isin(pairs.a, list(known))))
    assert names(a, b, pool) == {(f"Layer.{n}", f"Copy.{n}") for n in ("fold", "turn", "bend")}
    assert pool.e_value > pooled(a, b, test)[0].e_value
    assert not pooled(a, b, replace(test, public=lambda pairs: np.ones(len(pairs), bool)))

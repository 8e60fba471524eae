"""Matching: joint choice, alignment of statements, votes for renames, and the arithmetic of chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_factory import BITS, corresponding, every, side

from detector.candidate.bag import bags
from detector.match.alignment import align, pair_nodes
from detector.match.assignment import one_to_one
from detector.match.chance import FREE, TYPICAL, Common, Law, Tail, law, own_scores, scores
from detector.match.correspondence import Match
from detector.match.rename import Votes, rename_map, together
from detector.match.side import Side


def test_bits_and_e_value_say_the_same() -> None:
    fitted = Law(chance=Tail(0.2, 0.1), idiom=Tail(0.003, 0.05))
    bits = fitted.bits(80.0)
    assert fitted.expected(80.0, 1e6) == pytest.approx(1e6 * 2**-bits)
    by_chance, by_idiom = 0.2 * math.exp(-0.1 * 80.0), 0.003 * math.exp(-0.05 * 80.0)
    assert fitted.expected(80.0, 1e6) == pytest.approx(1e6 * (by_chance + by_idiom))


def test_more_score_is_less_chance_and_more_pairs_are_more() -> None:
    assert law().expected(400.0, 1e6) < law().expected(200.0, 1e6) < law().expected(200.0, 1e7)
    assert law().bits(-5.0) >= 0.0 and law().expected(1e9, 1e9) < 1e-200


@given(st.floats(0.0, 1e4), st.floats(1e-7, 1e-2), st.floats(0.02, 0.5), st.floats(1e-7, 1e-2))
def test_the_score_that_carries_its_bits_is_the_score_itself(
    score: float, k: float, rate: float, idiom_k: float
) -> None:
    fitted = Law(Tail(k, rate), Tail(idiom_k, rate / 4))
    assert float(fitted.score(fitted.bits(score))) == pytest.approx(score, rel=1e-6, abs=1e-6)


CODE = """
import torch

def head(x, n):
    y = torch.fft.rfft(x, n=511, norm="ortho").abs().pow(1.7)
    z = torch.linspace(20.0, 7600.0, n).log1p().reshape(1, -1)
    w = (y @ z).clamp(min=3e-9).log10().flip(-1)
    return w.cumsum(dim=0) / w.std(dim=-1, correction=0)

def tail(x):
    return torch.nn.functional.pad(x, (3, 0, 0, 5), value=0.125).unfold(-1, 37, 11).logsumexp(dim=1)

def both(x):
    return tail(head(x, 61)), head(x, 67).erfinv()
"""


def test_a_unit_scores_most_with_itself() -> None:
    a = side(m=CODE)
    found = scores(a.bags, a.bags, every(a, a)).reshape(len(a.units), -1)
    assert np.allclose(np.diag(found), own_scores(a.bags), rtol=1e-5)
    assert (found <= own_scores(a.bags)[:, None] + 1e-3).all()


def test_a_bag_holds_each_distinct_term_of_its_unit_once() -> None:
    found = side(m=CODE, empty="")
    for row, unit in enumerate(found.units):
        terms, bits = found.bags.of(row)
        assert terms.tolist() == np.unique(unit.terms.view(np.uint64)).tolist()
        assert np.array_equal(bits, BITS(terms))
        assert np.array_equal(found.bags.rarity(row, terms[::-1]), bits[::-1])
        assert found.bags.sizes[row] == len(set(unit.terms[:, 2].tolist()))
    assert len(bags([], BITS)) == 0


def shared_by_hand(a: Side, b: Side, i: int, j: int) -> float:
    """The formula of detector/match/chance.py, term by term."""
    terms, bits = (column.tolist() for column in a.bags.of(i))
    others = set(b.bags.of(j)[0].tolist())
    free = FREE + math.log2(max(1.0, min(a.bags.sizes[i], b.bags.sizes[j]) / TYPICAL))
    shared = [bit - free for term, bit in zip(terms, bits, strict=True) if term in others]
    return float(sum(gain for gain in shared if gain > 0))


def test_a_score_is_what_is_shared_weighed_by_the_square_of_the_larger_part() -> None:
    a, b = side(m=CODE), side(m=CODE.replace("1.7", "1.9"))
    found = scores(a.bags, b.bags, every(a, b))
    own_a, own_b = own_scores(a.bags), own_scores(b.bags)
    for (i, j), score in zip(np.ndindex(len(a.units), len(b.units)), found.tolist(), strict=True):
        common = shared_by_hand(a, b, i, j)
        part = min(1.0, common / float(min(own_a[i], own_b[j]))) if common else 0.0
        assert score == pytest.approx(common * part**2, rel=1e-4, abs=1e-3)


def test_no_pair_carries_more_bits_than_two_thirds_of_what_it_holds_or_eight_a_node() -> None:
    a = side(m="class Shell:\n    pass\n" + CODE)
    common = Common.of(a.bags, a.bags)
    nodes = np.minimum(*(a.bags.sizes[rows] for rows in (every(a, a).a, every(a, a).b)))
    most = np.minimum(common.held(every(a, a)) / 1.5, 8 * nodes)
    bits = [law().bits(score) for score in common.limited(every(a, a), law()).tolist()]
    assert (np.array(bits) <= most + 1e-6).all()


def test_the_shared_terms_of_a_pair_add_up_to_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = side(m=CODE), side(m=CODE.replace("1.7", "1.9"))
    common, pairs = Common.of(a.bags, b.bags), every(a, b)
    at_once = common.held(pairs)
    monkeypatch.setattr("detector.match.chance._PAIRS", 3)
    shared = common.shared(pairs)
    assert np.array_equal(common.held(pairs), at_once) and at_once.any()
    assert [gains.sum() for _, gains in shared] == pytest.approx(at_once)
    for (terms, _), i, j in zip(shared, pairs.a, pairs.b, strict=True):
        assert set(terms.tolist()) <= set(a.bags.of(i)[0].tolist()) & set(b.bags.of(j)[0].tolist())


def test_the_least_score_is_the_one_of_which_as_many_as_allowed_are_expected() -> None:
    assert law().expected(law().least(0.01, 1e6), 1e6) == pytest.approx(0.01)
    assert law().least(10.0, 5.0) == 0.0


def named(a: Side, b: Side, match: Match) -> tuple[str, str]:
    return a.units[match.a].unit.name, b.units[match.b].unit.name


def test_a_caller_that_merely_holds_a_matched_piece_is_no_part() -> None:
    whole = CODE.split("def both", maxsplit=1)[0]
    caller = "def spare(x):\n    return head(x, 61).tan()\n"
    a, b = side(m=whole), side(m=whole + caller)
    terms = {unit.unit.name: set(unit.terms.ravel().tolist()) for unit in b.units}
    assert len(terms["head"] & terms["spare"]) > 0.8 * len(terms["head"])
    pairs = {(a.units[m.a].unit.name, b.units[m.b].unit.name) for m in corresponding(a, b, 0.01).matches}
    assert pairs == {("head", "head"), ("tail", "tail")}


def test_of_several_copies_each_is_a_part_of_its_own_like() -> None:
    """`start` calls `head`, which is walked there: a copy of `head` is as much like the one as the other."""
    body = CODE[CODE.index("def head") : CODE.index("def tail")].replace("return w", "x.data = w")
    code = f"import torch\ndef start(x, n):\n    head(x, n)\n    train(x)\n{body}"
    a, b = side(m=code), side(m=code, n=code, o="def train(x):\n    return x\n")
    pairs = {(a.units[m.a].unit.name, b.units[m.b].unit.name) for m in corresponding(a, b, 0.01).matches}
    assert ("head", "head") in pairs and not {("start", "head"), ("head", "start")} & pairs


def test_the_best_pair_is_kept_first_and_nothing_stands_twice() -> None:
    assert one_to_one([(1, 5), (1, 6), (2, 5), (2, 6), (3, 7)]) == [0, 3, 4]


def test_partners_are_chosen_one_to_one() -> None:
    a, b = side(m=CODE), side(m=CODE.replace("head", "h").replace("tail", "t").replace("both", "b"))
    found = [named(a, b, match) for match in corresponding(a, b, 0.01).matches]
    assert {("head", "h"), ("tail", "t")} <= set(found)
    assert len({left for left, _ in found}) == len(found) == len({right for _, right in found})


def test_of_two_equal_partners_the_one_with_matching_neighbours_wins() -> None:
    twin = CODE.split("def tail", maxsplit=1)[0].replace("head", "tail_spare")
    a, b = side(m=CODE), side(a_first=twin, z=CODE)
    found = {match.a: match.b for match in corresponding(a, b, 0.01).matches if not match.part}
    row = next(i for i, unit in enumerate(a.units) if unit.unit.name == "head")
    assert b.units[found[row]].unit.path == "z.py"


def test_a_stricter_threshold_keeps_less() -> None:
    a, b = side(m=CODE), side(m=CODE)
    kept = [len(corresponding(a, b, e).matches) for e in (1e-300, 0.01)]
    assert kept[0] == 0 < kept[1]


def test_statements_are_aligned_when_they_were_reordered() -> None:
    lines = CODE.splitlines()
    lines[4], lines[5] = lines[5], lines[4]
    a, b = (next(u for u in side(m=text).units if u.unit.name == "head") for text in (CODE, "\n".join(lines)))
    found = {(line.a[:2], line.b[:2]) for line in align(a, b, pair_nodes(a, b, BITS))}
    assert {((5, 5), (6, 6)), ((6, 6), (5, 5)), ((7, 7), (7, 7))} <= found


def test_relations_are_calls_containment_inheritance_and_instantiation() -> None:
    source = (
        "class A:\n    def f(self):\n        return 9.5\n"
        "class B(A):\n    def g(self):\n        return A()\n"
        "def h(x):\n    return h2(x)\n"
        "def h2(x):\n    x.sort()\n    return abs(x)\n"
    )
    found = side(m=source)
    names = [unit.unit.name for unit in found.units]
    edges = {
        (names[row], names[other], kind)
        for row, others in enumerate(found.graph.successors)
        for other, kind in others.items()
    }
    back = {
        (names[other], names[row], kind)
        for row, others in enumerate(found.graph.predecessors)
        for other, kind in others.items()
    }
    assert back == edges
    assert {
        ("A", "A.f", "contains"), ("B", "A", "inherits"), ("B.g", "A", "instantiates"), ("h", "h2", "calls"),
    } <= edges  # fmt: skip


def vote(a: str, b: str, *lines: int) -> Votes:
    return {("variable", a, b): [("a.py", line, "b.py", line) for line in lines]}


def test_the_rename_map_counts_sites_that_agree_and_that_contradict() -> None:
    cast = (
        vote("x", "y", 1, 2, 3),
        vote("x", "y", 4, 5),
        vote("x", "z", 9),
        vote("w", "y", 10),
        vote("k", "k", 11),
    )
    found = rename_map(together(cast))
    assert [(r.a, r.b, r.agreeing, r.contradicting) for r in found] == [("x", "y", 5, 2)]


def test_sites_are_listed_in_order_and_bounded() -> None:
    (rename,) = rename_map(vote("x", "y", *reversed(range(100))))
    assert rename.agreeing == 100 and [site.a_line for site in rename.sites] == list(range(20))


def test_a_rename_that_most_places_contradict_is_left_out() -> None:
    assert not rename_map(together(vote("x", name, n) for n, name in enumerate("abcdefgh")))

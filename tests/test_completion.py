"""Completion: ordinary functions with the very same terms, in the places that matches leave open."""

from __future__ import annotations

import pytest
from match_factory import corresponding, row, side

from detector.match.chance import law
from detector.match.completion import complete
from detector.match.side import Side

TELLING = """
    def forward(self, x):
        y = torch.fft.rfft(x, n=511, norm="ortho").abs().pow(1.7)
        z = torch.linspace(20.0, 7600.0, 80).log1p().reshape(1, -1)
        w = (y @ z).clamp(min=3e-9).log10().flip(-1)
        return w.cumsum(dim=0) / w.std(dim=-1, correction=0)
"""
ORDINARY = """
    def __init__(self, width):
        super().__init__()
        self.first = First(width)
        self.second = Second(width)
        self.pruned = set()
"""
SHORT = """
    def apply(self, x):
        x = self.first(x)
        return self.second(x)
"""


def layer(*members: str, name: str = "Layer") -> str:
    return f"import torch\nfrom torch import nn\n\nclass {name}(nn.Module):{''.join(members)}"


def found(a: Side, b: Side) -> dict[tuple[str, str], str]:
    """Names of matched units, and what the E-value of the match is of."""
    return {
        (a.units[match.a].unit.name, b.units[match.b].unit.name): match.basis
        for match in corresponding(a, b, 0.01).matches
    }


def test_an_ordinary_constructor_is_found_in_a_class_whose_other_method_is_matched() -> None:
    a, b = side(a=layer(TELLING, ORDINARY)), side(b=layer(TELLING, ORDINARY, name="Copy"))
    matched = found(a, b)
    assert matched["Layer.forward", "Copy.forward"] == "pair"
    assert matched["Layer.__init__", "Copy.__init__"] == "place"


def test_by_itself_an_ordinary_constructor_is_no_match() -> None:
    assert ("Layer.__init__", "Copy.__init__") not in found(
        side(a=layer(ORDINARY)), side(b=layer(ORDINARY, name="Copy"))
    )


def test_what_differs_in_one_term_is_not_complete() -> None:
    a = side(a=layer(TELLING, ORDINARY))
    b = side(b=layer(TELLING, ORDINARY.replace("set()", "list()"), name="Copy"))
    assert ("Layer.__init__", "Copy.__init__") not in found(a, b)


def test_fewer_statements_than_four_tell_nothing() -> None:
    a, b = side(a=layer(TELLING, SHORT)), side(b=layer(TELLING, SHORT, name="Copy"))
    assert complete(a, b, [(row(a, "Layer.forward"), row(b, "Copy.forward"))], 100.0).possible == 0


ANCHOR = """
def {name}(x):
    return torch.nn.functional.pad(x, (3, 0, 0, {size}), value=0.125).unfold(-1, 37, {size}).logsumexp(dim=1)
"""
BETWEEN = """
def start(parts):
    parts = clean(parts)
    parts = order(parts)
    parts = prune(parts)
    return parts
"""


def file(*parts: str) -> str:
    return "import torch\n" + "".join(parts)


def test_between_two_matches_that_follow_one_another_few_pairs_are_possible() -> None:
    first, last = ANCHOR.format(name="first", size=11), ANCHOR.format(name="last", size=13)
    text = file(first, BETWEEN, last)
    a, b = side(a=text), side(b=text)
    anchors = [(row(a, name), row(b, name)) for name in ("first", "last")]
    assert complete(a, b, anchors, 1.0).pairs == ((row(a, "start"), row(b, "start")),)
    moved = side(b=file(BETWEEN, first, last))
    assert not complete(a, moved, [(row(a, name), row(moved, name)) for name in ("first", "last")], 1.0).pairs


def test_places_are_searched_only_while_they_leave_few_pairs_possible() -> None:
    a, b = side(a=layer(TELLING, ORDINARY)), side(b=layer(TELLING, ORDINARY, name="Copy"))
    matched = [(row(a, "Layer.forward"), row(b, "Copy.forward"))]
    assert complete(a, b, matched, most=1.0).possible == 1
    assert complete(a, b, matched, most=0.5).pairs == ()


def test_the_e_value_is_the_share_of_complete_pairs_times_the_possible_ones() -> None:
    a, b = side(a=layer(TELLING, ORDINARY)), side(b=layer(TELLING, ORDINARY, name="Copy"))
    (match,) = [match for match in corresponding(a, b, 0.01).matches if match.basis == "place"]
    assert match.e_value == pytest.approx(law().complete)
    assert match.bits < 20.0

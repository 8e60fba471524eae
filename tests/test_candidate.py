"""Candidates: whatever could be reported is found, by the exact join and by sketches alike."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import numpy as np
import pytest

from detector.background import Background
from detector.candidate import candidate
from detector.candidate.bag import Bags, bags
from detector.candidate.candidate import Candidates, candidates, joined
from detector.candidate.sketch import signatures, sketched
from detector.fingerprint.repository import fingerprint_files
from detector.match.chance import law, scores

LIBRARY = Path(sysconfig.get_paths()["stdlib"])


@pytest.fixture(scope="module")
def sides() -> tuple[Bags, Bags]:
    """Two overlapping parts of the standard library."""
    names = [
        "argparse.py",
        "optparse.py",
        "csv.py",
        "shlex.py",
        "textwrap.py",
        "statistics.py",
        "fractions.py",
    ]
    files = {name: (LIBRARY / name).read_bytes() for name in names}
    bits = Background.open().bits
    a = fingerprint_files({name: files[name] for name in names[:5]}).fingerprints
    b = fingerprint_files({f"other/{name}": files[name] for name in names[1:]}).fingerprints
    return bags(a, bits), bags(b, bits)


def reportable(a: Bags, b: Bags) -> set[tuple[int, int]]:
    """Every pair of units that the law would let pass, found by scoring all."""
    left, right = (grid.ravel() for grid in np.meshgrid(np.arange(len(a)), np.arange(len(b)), indexing="ij"))
    every = Candidates(left, right)
    found = zip(left.tolist(), right.tolist(), scores(a, b, every).tolist(), strict=True)
    return {(i, j) for i, j, score in found if law().expected(score, len(a) * len(b)) <= 0.01}


def pairs(found: Candidates) -> set[tuple[int, int]]:
    return set(zip(found.a.tolist(), found.b.tolist(), strict=True))


def test_no_pair_that_could_be_reported_is_lost(sides: tuple[Bags, Bags]) -> None:
    wanted = reportable(*sides)
    assert len(wanted) > 50
    assert wanted <= pairs(candidates(*sides))


def test_few_pairs_are_worth_scoring(sides: tuple[Bags, Bags]) -> None:
    a, b = sides
    assert len(candidates(a, b)) < len(a) * len(b) / 10


def test_sketches_find_what_is_the_same(sides: tuple[Bags, Bags]) -> None:
    a, b = sides
    found = pairs(sketched(a, b))
    informative = {unit for unit, _ in signatures(a)}
    same = {
        (i, j) for i in informative for j in range(len(b)) if np.array_equal(a.of(i)[0], b.of(j)[0])
    }  # fmt: skip
    assert same and same <= found


def test_large_repositories_lose_next_to_nothing(
    sides: tuple[Bags, Bags], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "EXACT", 0)
    wanted = reportable(*sides)
    assert len(wanted - pairs(candidates(*sides))) <= 0.005 * len(wanted)


def test_sides_without_rare_terms_have_no_candidates() -> None:
    empty = bags((), Background.open().bits)
    plain = bags(fingerprint_files({"a.py": b"x = 1\n"}).fingerprints, Background.open().bits)
    for a, b in ((empty, empty), (empty, plain), (plain, empty), (plain, plain)):
        assert not len(joined(a, b)) and not len(sketched(a, b))


def test_a_bag_holds_each_term_once(sides: tuple[Bags, Bags]) -> None:
    a, _ = sides
    assert len(a.starts) == len(a) + 1 and len(a.owners) == len(a.terms) == len(a.bits)
    assert all(len(np.unique(a.of(unit)[0])) == len(a.of(unit)[0]) for unit in range(len(a)))

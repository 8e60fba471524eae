"""Copies count once: a term is as common as the number of hands that wrote it, not of the copies made."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from detector.background.family import TermSets, families, identities
from detector.background.weighing import population, term_shares, unit_weights
from detector.fingerprint.repository import fingerprint_files

STANDARD_LIBRARY = Path(textwrap.__file__).parent


def package(*names: str, extra: str = "") -> TermSets:
    """The units of some modules of the standard library, as those of one package."""
    contents = {f"{name}.py": (STANDARD_LIBRARY / f"{name}.py").read_bytes() for name in names}
    if extra:
        contents["extra.py"] = extra.encode()
    terms = [np.unique(unit.terms).view(np.uint64) for unit in fingerprint_files(contents).fingerprints]
    return TermSets(np.concatenate(terms), np.concatenate(([0], np.cumsum([len(bag) for bag in terms]))))


def bag_of(*sets: set[int]) -> TermSets:
    starts = np.concatenate(([0], np.cumsum([len(terms) for terms in sets])))
    return TermSets(np.array([term for terms in sets for term in sorted(terms)], np.uint64), starts)


def random_set(seed: int, size: int) -> set[int]:
    return set(np.random.default_rng(seed).integers(0, 2**63, size).tolist())


def share_of(term: int, packages: list[TermSets]) -> float:
    people = population(packages)
    hashes, shares, _ = term_shares(people, unit_weights(people))
    return float(shares[hashes == term].sum())


def test_equal_sets_are_one_identity_whatever_stands_around_them() -> None:
    a, b = random_set(1, 30), random_set(2, 30)
    first, second, third = identities(bag_of(a, b, a)).tolist()
    assert first == third != second


def test_a_small_edit_leaves_a_function_in_its_family() -> None:
    original = sorted(random_set(3, 100))
    edited = {*original[:-5], *random_set(4, 5)}
    labels = families(bag_of(set(original), random_set(5, 100), edited))
    assert labels[0] == labels[2] != labels[1]


def test_functions_that_share_a_third_of_their_terms_are_of_different_families() -> None:
    common = random_set(6, 50)
    labels = families(bag_of(*({*common, *random_set(7 + n, 50)} for n in range(8))))
    assert len(set(labels.tolist())) == 8


def test_a_package_vendored_into_others_makes_no_term_of_it_more_common() -> None:
    term = next(iter(random_set(20, 1)))
    owner = bag_of({term, *random_set(21, 40)}, {term, *random_set(22, 40)}, random_set(23, 40))
    others = [bag_of(*(random_set(100 * n + m, 40) for m in range(20))) for n in range(1, 6)]
    with_copies = [
        TermSets(
            np.concatenate((owner.terms, other.terms)),
            np.concatenate((owner.starts, other.starts[1:] + owner.starts[-1])),
        )
        for other in others
    ]
    assert share_of(term, [owner, *with_copies]) <= share_of(term, [owner, *others])


def test_a_term_of_many_hands_is_more_common_than_one_that_a_single_house_repeats() -> None:
    popular, habit = sorted(random_set(30, 2))
    house = bag_of(*({habit, *random_set(1000 + n, 40)} for n in range(100)))
    hands = [
        bag_of({popular, *random_set(2000 + n, 40)}, *(random_set(3000 + 9 * n + m, 40) for m in range(9)))
        for n in range(50)
    ]
    packages = [house, *hands]
    assert share_of(popular, packages) > share_of(habit, packages)


def test_real_modules_pool_to_their_distinct_units() -> None:
    people = population([package("textwrap", "bisect"), package("bisect", "shlex"), package("textwrap")])
    alone = population([package("textwrap", "bisect", "shlex")])
    assert len(people.bags) == len(alone.bags)
    assert set(people.packages.tolist()) == {0, 1, 2}

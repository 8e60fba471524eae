"""Sides of a comparison made from source text: what tests of matching start from."""

from __future__ import annotations

import numpy as np

from detector.background import Background
from detector.candidate.bag import bags
from detector.candidate.candidate import Candidates
from detector.fingerprint.repository import fingerprint_files
from detector.match.chance import Common, law
from detector.match.correspondence import Matches, correspond
from detector.match.relation import relations
from detector.match.side import Side
from detector.match.significance import Significance

BITS = Background.open().bits


def side(**files: str) -> Side:
    """A side of the files `name`.py with these texts."""
    units = fingerprint_files({f"{name}.py": text.encode() for name, text in files.items()}).fingerprints
    return Side(units, bags(units, BITS), relations(units))


def every(a: Side, b: Side) -> Candidates:
    """All pairs of units."""
    left, right = np.meshgrid(np.arange(len(a.units)), np.arange(len(b.units)), indexing="ij")
    return Candidates(left.ravel(), right.ravel())


def significance(a: Side, b: Side, threshold: float) -> Significance:
    """By the law that ships."""
    return Significance(Common.of(a.bags, b.bags), law(), threshold)


def corresponding(a: Side, b: Side, threshold: float) -> Matches:
    """What is matched among all pairs."""
    return correspond(a, b, every(a, b), significance(a, b, threshold))


def row(of: Side, name: str) -> int:
    """The unit of a name."""
    return next(at for at, unit in enumerate(of.units) if unit.unit.name == name)

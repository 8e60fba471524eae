"""Every choice a user can make for a comparison, in one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from detector.errors import UncribError
from detector.snapshot.model import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `compare`; the command line and `[tool.uncrib]` of pyproject.toml fill the same fields.

    Raises UncribError for a value that makes no sense. Names of evidence classes are checked where the
    classes are listed (detector/evidence/registry.py).
    """

    upstream: tuple[str, ...] = ()
    """sources that both sides may hold honestly; what they explain is set apart"""
    threshold: float = 0.01
    """report a code match if at most this many as strong are expected by chance (E-value)"""
    jobs: int = 0
    """worker processes; 0 means one for each processor"""
    history: bool | None = None
    """read both histories; None: when they are small enough"""
    dirty: bool = False
    """read a work tree's files instead of its last commit"""
    offline: bool = False
    """use cached clones as they are"""
    only: tuple[str, ...] = ()
    """evidence classes to run; empty: all"""
    skip: tuple[str, ...] = ()
    """evidence classes to leave out"""
    answers: tuple[str, ...] = ()
    """two JSONL files of model answers (A's, B's), and optionally a reference"""
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not 0 < self.threshold < math.inf:
            raise UncribError(f"threshold is {self.threshold}; give an E-value above 0, for example 0.01")
        if self.jobs < 0:
            raise UncribError(
                f"jobs is {self.jobs}; give a number of processes, or 0 for one for each processor"
            )
        if len(self.answers) not in (0, 2, 3):
            raise UncribError(
                f"answers names {len(self.answers)} files; give A's, then B's, and perhaps a reference"
            )
        for field in fields(self.limits):
            limit = getattr(self.limits, field.name)
            if not 0 < limit < math.inf:
                raise UncribError(f"the limit {field.name} is {limit}; give a number above 0")

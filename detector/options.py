"""Every choice a user can make for a comparison, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from detector.snapshot.model import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `compare`; the command line and `[tool.uncrib]` of pyproject.toml fill the same fields."""

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

"""Weights: the same tensors under other names, and the same values under noise.

Three questions, each a finding: do the tensor names of one side's checkpoint become the other's by renaming
prefixes; does one side's code have a place for the other side's tensors; and, where values are at hand on
both sides, how are they related. docs/evidence/weights.md states the scale of strengths.
"""

from __future__ import annotations

from detector.evidence.checkpoints.formats import format_of
from detector.evidence.finding import Evidence
from detector.evidence.registry import Context
from detector.snapshot.model import Snapshot


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """Compare every checkpoint of A with those of B, and each side's code with the other's checkpoints."""
    if not any(format_of(file.path) for side in (a, b) for file in side.files):
        return Evidence()  # most repositories hold none, and loading what reads them takes time
    from detector.evidence.checkpoints.comparison import compare_checkpoints  # noqa: PLC0415

    return compare_checkpoints(a, b, context)

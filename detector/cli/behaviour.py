"""`uncrib behaviour`: do two models give the same answers, above all the same wrong ones?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import voice

AnswersA = Annotated[Path, typer.Argument(metavar="ANSWERS_A", help="JSONL with question and answer.")]
AnswersB = Annotated[Path, typer.Argument(metavar="ANSWERS_B", help="The other model's, likewise.")]
Reference = Annotated[Path | None, typer.Option(metavar="FILE", help="The right answers, in the same form.")]


def behaviour(answers_a: AnswersA, answers_b: AnswersB, reference: Reference = None) -> None:
    """Compare two models' answers to the same questions: agreement beyond chance, shared mistakes.

    \b
    Example:
      uncrib behaviour a.jsonl b.jsonl --reference right.jsonl
    """
    voice.start(verbose=False)
    from detector.evidence.behaviour import compare_answers  # noqa: PLC0415
    from detector.report.terminal import console, evidence  # noqa: PLC0415

    evidence(compare_answers(answers_a, answers_b, reference), console())

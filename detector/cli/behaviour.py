"""`uncrib behaviour`: do two models give the same answers, above all the same wrong ones?"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli import voice

FILE = click.Path(path_type=Path)


@click.command(short_help="Compare two models' answers to the same questions.")
@click.argument("answers_a", type=FILE)
@click.argument("answers_b", type=FILE)
@click.option("--reference", type=FILE, metavar="FILE", help="The right answers, in the same form.")
def behaviour(answers_a: Path, answers_b: Path, reference: Path | None) -> None:
    """Compare two models' answers to the same questions: agreement beyond chance, shared mistakes.

    ANSWERS_A and ANSWERS_B are JSONL files with a question and an answer on each line.

    \b
    Example:
      uncrib behaviour a.jsonl b.jsonl --reference right.jsonl
    """
    voice.start(verbose=False)
    from detector.evidence.behaviour import compare_answers  # noqa: PLC0415
    from detector.report.terminal import console, evidence  # noqa: PLC0415

    evidence(compare_answers(answers_a, answers_b, reference), console())

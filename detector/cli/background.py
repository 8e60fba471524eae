"""`uncrib background`: the table of what is common in public machine-learning code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import arguments, outputs, voice
from detector.errors import UncribError

app = typer.Typer(
    help="The table that says how common a term is in public machine-learning code.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Packages = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="What to count, one a line: name==version or owner/name@revision:paths."
    ),
]
Out = Annotated[Path, typer.Option(metavar="FILE", help="Where the table is written.")]


@app.command()
def info() -> None:
    """Print what the table in use was built from."""
    voice.start(verbose=False)
    from detector.background.info import describe  # noqa: PLC0415

    print(describe())


@app.command()
def build(packages: Packages, out: Out, verbose: arguments.Verbose = False) -> None:
    """Download packages, count their terms, and write a table. It can be stopped and taken up again."""
    voice.start(verbose)
    if not packages.is_file():
        raise UncribError(f"there is no file {packages}; give a list of packages, one a line")
    outputs.check({"out": str(out)})
    from detector.background.build import build as build_table  # noqa: PLC0415

    with voice.Meter() as meter:
        build_table(packages, out, meter)

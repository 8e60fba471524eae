"""`uncrib background`: the table of what is common in public machine-learning code."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli import arguments, outputs, voice
from detector.errors import UncribError

FILE = click.Path(path_type=Path)


@click.group(invoke_without_command=True, short_help="Tell what is common in public code, or count it anew.")
@click.pass_context
def background(context: click.Context) -> None:
    """The table that says how common a term is in public machine-learning code."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@background.command()
def info() -> None:
    """Print what the table in use was built from."""
    voice.start(verbose=False)
    from detector.background.info import describe  # noqa: PLC0415

    print(describe())


@background.command()
@click.option(
    "--packages",
    type=FILE,
    required=True,
    metavar="FILE",
    help="Packages to count, one a line: name or name==version.",
)
@click.option("--out", type=FILE, required=True, metavar="FILE", help="Where the table is written.")
@arguments.verbose
def build(packages: Path, out: Path, verbose: bool) -> None:
    """Download packages, count their terms, and write a table. It can be stopped and taken up again."""
    voice.start(verbose)
    if not packages.is_file():
        raise UncribError(f"there is no file {packages}; give a list of packages, one a line")
    outputs.check({"out": str(out)})
    from detector.background.build import build as build_table  # noqa: PLC0415

    with voice.Meter() as meter:
        build_table(packages, out, meter)

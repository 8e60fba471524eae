"""The arguments that several commands share, and the options they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from detector.errors import UncribError
from detector.evidence.finding import Strength
from detector.report.wording import scale_step
from detector.settings import FAIL_ON, Settings, load, options_from
from detector.snapshot.model import Limits

SOURCE = "git URL, owner/name (GitHub), hf:org/name, pypi:name==version or a folder; @REVISION may follow"

_BOUNDS = ", ".join(f"{field.name}={field.default:.12g}" for field in fields(Limits))

Command = TypeVar("Command", bound=Callable[..., Any])

jobs = click.option(
    "-j", "--jobs", type=int, metavar="N", help="Worker processes; 0: one for each processor."
)
offline = click.option("--offline", is_flag=True, default=None, help="Use what was cached before as it is.")
verbose = click.option(
    "-v", "--verbose", is_flag=True, help="Say what each phase took; show tracebacks of errors."
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
_COMPARING = (
    jobs,
    click.option(
        "--history/--no-history",
        default=None,
        help="Read both histories; by default when they are small enough.",
    ),
    click.option(
        "--upstream",
        multiple=True,
        metavar="SOURCE",
        help="What both sides may hold honestly; it is set apart. Repeatable.",
    ),
    click.option("--only", multiple=True, metavar="CLASS", help="Run this evidence class only. Repeatable."),
    click.option("--skip", multiple=True, metavar="CLASS", help="Leave this class out. Repeatable."),
    click.option(
        "--threshold",
        type=float,
        metavar="E",
        help="Report matches with at most this E-value.  [default: 0.01]",
    ),
    click.option(
        "--dirty", is_flag=True, default=None, help="Read a work tree's files instead of its last commit."
    ),
    offline,
    click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        help=f"Bound what is read of each source; by default {_BOUNDS}. Repeatable.",
    ),
    click.option("--fail-on", metavar="strong|any", help="Exit with status 1 from this verdict on."),
    verbose,
    quiet,
)


def comparing(command: Command) -> Command:
    """The options of every command that compares: those of `Options`, and limits, fail_on, verbose, quiet."""
    for option in reversed(_COMPARING):
        command = option(command)
    return command


def settled(given: dict[str, Any], limits: Sequence[str], fail_on: str | None) -> Settings:
    """The command line's options over those of pyproject.toml; what is None or empty was not given."""
    defaults = load(Path.cwd())
    said = {key: value for key, value in given.items() if value is not None and value != ()}
    options = replace(defaults.options, **said)
    if limits:
        changed = {"limits": asdict(options.limits) | _limits(limits)}
        options = replace(options, limits=options_from(changed, "--limit").limits)
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UncribError(f"--fail-on is {fail_on!r}; choose from {', '.join(FAIL_ON)}")
    return Settings(options, fail_on or defaults.fail_on)


def _limits(texts: Sequence[str]) -> dict[str, float]:
    limits: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name.strip()] = int(value) if value.strip().isdecimal() else float(value)
        except ValueError:
            raise UncribError(f"--limit {text} is not NAME=NUMBER; write for example seconds=60") from None
    return limits


def failed(verdict: Strength, fail_on: str | None) -> bool:
    """Whether `--fail-on` asks for exit status 1."""
    least: Strength = "strong" if fail_on == "strong" else "weak"
    return fail_on is not None and scale_step(verdict) >= scale_step(least)

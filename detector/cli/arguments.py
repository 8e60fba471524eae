"""The arguments that several commands share, and the options they add up to."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.errors import UncribError
from detector.report.wording import scale_step
from detector.settings import FAIL_ON, Settings, load, options_from
from detector.snapshot.model import Limits

if TYPE_CHECKING:
    from detector.evidence.finding import Strength

SOURCE = "git URL, owner/name (GitHub), hf:org/name, pypi:name==version or a folder; @REVISION may follow"

_BOUNDS = ", ".join(f"{field.name}={field.default:.12g}" for field in fields(Limits))

History = Annotated[
    bool | None,
    typer.Option(
        "--history/--no-history", help="Read both histories; by default when they are small enough."
    ),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", metavar="N", help="Worker processes; 0: one for each processor.")
]
Upstream = Annotated[
    list[str] | None,
    typer.Option(metavar="SOURCE", help="What both sides may hold honestly; it is set apart. Repeatable."),
]
Only = Annotated[
    list[str] | None, typer.Option(metavar="CLASS", help="Run this evidence class only. Repeatable.")
]
Skip = Annotated[list[str] | None, typer.Option(metavar="CLASS", help="Leave this class out. Repeatable.")]
Dirty = Annotated[
    bool | None, typer.Option("--dirty", help="Read a work tree's files instead of its last commit.")
]
Offline = Annotated[bool | None, typer.Option("--offline", help="Use what was cached before as it is.")]
Threshold = Annotated[
    float | None,
    typer.Option(metavar="E", help="Report matches with at most this E-value.  [default: 0.01]"),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help=f"Bound what is read of each source; by default {_BOUNDS}. Repeatable.",
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(metavar="strong|any", help="Exit with status 1 from this verdict on."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what each phase took; show tracebacks of errors.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def settled(given: dict[str, Any], limits: list[str] | None, fail_on: str | None) -> Settings:
    """The command line's options over those of pyproject.toml; what is None was not given."""
    defaults = load(Path.cwd())
    said: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in given.items()
        if value is not None
    }
    options = replace(defaults.options, **said)
    if limits:
        changed = {"limits": asdict(options.limits) | _limits(limits)}
        options = replace(options, limits=options_from(changed, "--limit").limits)
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UncribError(f"--fail-on is {fail_on!r}; choose from {', '.join(FAIL_ON)}")
    return Settings(options, fail_on or defaults.fail_on)


def _limits(texts: list[str]) -> dict[str, float]:
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

"""The command `uncrib`: one module of this package for each of its commands."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated

import typer

from detector.cli import audit, background, behaviour, compare, render, show, verify
from detector.errors import UncribError
from detector.report.text import one_line

# of click's usage errors typer exports one (newer versions carry click within them); its base is all of them
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130
ALLOCATIONS = 50_000
"""new objects between two looks for cycles: a comparison makes many objects and hardly any cycle"""

app = typer.Typer(
    name="uncrib",
    help="Does one machine-learning repository contain another's work under new names, and what shows it?",
    epilog="""\b
Examples:
  uncrib compare org/original org/copy
  uncrib compare ./mine hf:org/model@2024-05-27 --json report.json
  uncrib audit . --against org/model-we-started-from

Every command explains itself: uncrib COMMAND --help""",
    rich_markup_mode=None,  # plain help needs no rich, whose import would triple the time it takes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("compare")(compare.compare)
app.command("audit")(audit.audit)
app.command("report")(render.report)
app.command("show")(show.show)
app.command("verify")(verify.verify)
app.command("behaviour")(behaviour.behaviour)
app.add_typer(background.app, name="background")


def _version(wanted: bool) -> None:
    if wanted:
        from detector.version import VERSION  # noqa: PLC0415

        print(f"uncrib {VERSION}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


def run() -> None:
    """Run the command line and end the process.

    Status 0: done; 1: what `--fail-on` asks for, or a report that no longer holds; 2: wrong usage or
    unreadable input; 130: interrupted.
    """
    ended = 1  # what Python itself says of an error that nobody caught

    def leave() -> None:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(ended)  # freeing all that a comparison holds, object by object, takes up to 0.1 s

    # as it loads, numpy starts a thread for each processor, for large matrix products: there are none here
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    atexit.register(leave)  # first in, last out: temporary folders are gone by then, and threads have ended
    gc.set_threshold(ALLOCATIONS)
    ended = status(sys.argv[1:])


def status(arguments: list[str]) -> int:
    """Run one command and return its exit status; every error becomes one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a path or a name may not exist in the terminal's encoding
    try:
        ended = app(arguments or ["--help"], prog_name="uncrib", standalone_mode=False)
        if ended == INTERRUPTED:  # how typer says that Ctrl-C was pressed
            raise KeyboardInterrupt
        sys.stdout.flush()
        return ended if isinstance(ended, int) else 0
    except UncribError as error:
        return _said(str(error))
    except _UsageError as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "uncrib")
        message = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
        return _said(f"{message[:1].lower()}{message[1:]}; see {command} --help")
    except (KeyboardInterrupt, typer.Abort):
        print("\nuncrib: interrupted", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)  # threads that wait for a network must not hold up the prompt
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush to
        return 0
    except OSError as error:
        _traced()
        place = f"{error.filename}: " if error.filename else ""
        return _said(f"{place}{error.strerror or error}; check that it exists and may be used")
    except Exception as error:
        hint = "" if _traced() else "; run again with -v to see where, and report it with that"
        return _said(f"unexpected error, {type(error).__name__}: {error}{hint}")


def _said(message: str) -> int:
    print(f"uncrib: {one_line(message, 1000)}", file=sys.stderr)
    return 2


def _traced() -> bool:
    """Print the traceback where `-v` was given."""
    wanted = logging.getLogger("detector").isEnabledFor(logging.INFO)
    if wanted:
        traceback.print_exc()
    return wanted

"""The command `uncrib`: one module of this package for each of its commands."""

from __future__ import annotations

import logging
import os
import sys
import traceback

import click

from detector.cli.audit import audit
from detector.cli.background import background
from detector.cli.behaviour import behaviour
from detector.cli.compare import compare
from detector.cli.render import report
from detector.cli.show import show
from detector.cli.verify import verify
from detector.errors import UncribError
from detector.report.text import one_line
from detector.version import VERSION

INTERRUPTED = 130


class _InOrder(click.Group):
    """A group that lists its commands in the order in which a reader needs them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="uncrib %(version)s", help="Print the version.")
def app() -> None:
    """Does one machine-learning repository contain another's work under new names, and what shows it?

    \b
    Examples:
      uncrib compare org/original org/copy
      uncrib compare ./mine hf:org/model@2024-05-27 --json report.json
      uncrib audit . --against org/model-we-started-from

    Every command explains itself: uncrib COMMAND --help
    """


for _command in (compare, audit, report, show, verify, behaviour, background):
    app.add_command(_command)


def run() -> None:
    """Run the command line and end the process.

    Status 0: done; 1: what `--fail-on` asks for, or a report that no longer holds; 2: wrong usage or
    unreadable input; 130: interrupted.
    """
    sys.exit(status(sys.argv[1:]))


def status(arguments: list[str]) -> int:
    """Run one command and return its exit status; every error becomes one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a path or a name may not exist in the terminal's encoding
    try:
        ended = app.main(arguments or ["--help"], prog_name="uncrib", standalone_mode=False)
        sys.stdout.flush()
        return ended if isinstance(ended, int) else 0
    except UncribError as error:
        return _said(str(error))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "uncrib"
        message = error.format_message().rstrip(".")
        return _said(f"{message[:1].lower()}{message[1:]}; see {command} --help")
    except (KeyboardInterrupt, click.Abort):
        print("uncrib: interrupted", file=sys.stderr, flush=True)
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

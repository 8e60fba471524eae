"""Files that a command writes: checked before the work, written after it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.errors import UncribError
from detector.phase import phase

if TYPE_CHECKING:
    from detector.report.model import Report

Html = Annotated[str | None, typer.Option(metavar="FILE", help="Write the report as one HTML file.")]
Json = Annotated[str | None, typer.Option(metavar="FILE", help="Write the report as JSON; - for stdout.")]
Markdown = Annotated[str | None, typer.Option(metavar="FILE", help="Write it as Markdown, for an issue.")]
Sarif = Annotated[str | None, typer.Option(metavar="FILE", help="Write it as SARIF 2.1.0.")]
Graph = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Write how the matched units are joined, as .graphml or .gexf."),
]
Pdf = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write it as PDF, where a Chromium is installed.")
]

_RENDERERS = {
    "html": ("detector.report.html", "to_html"),
    "json": ("detector.report.serial", "to_json"),
    "md": ("detector.report.markdown", "to_markdown"),
    "sarif": ("detector.report.sarif", "to_sarif"),
}
"""format: module and function of type (Report) -> str; loaded only where they are asked for"""
_GRAPHS = {".graphml": "to_graphml", ".gexf": "to_gexf"}
"""end of the file's name: function of detector.report.graph"""


def check(outputs: Mapping[str, str | None]) -> dict[str, str]:
    """The outputs that were asked for, format to file. Raises UncribError for one that cannot be written."""
    wanted = {form: file for form, file in outputs.items() if file is not None}
    taken: dict[str, str] = {}
    for form, file in wanted.items():
        key = file if file == "-" else os.path.realpath(file)
        if key in taken:
            raise UncribError(f"--{taken[key]} and --{form} name the same file {file}; give each its own")
        taken[key] = form
        if form == "graph":
            _renderer(form, file)
        if file != "-":
            _check(form, Path(file))
        elif form == "pdf":
            raise UncribError("a PDF is not written to stdout; give --pdf a file name")
    return wanted


def _check(form: str, path: Path) -> None:
    if not str(path) or path.is_dir():
        raise UncribError(f"--{form} {path} is a folder; give a file name")
    folder = path.parent
    if not folder.is_dir():
        raise UncribError(f"--{form}: there is no folder {folder}; create it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UncribError(f"--{form}: {path} may not be written; choose another place")


def write(report: Report, outputs: Mapping[str, str]) -> None:
    """Render and write each output, in the order of the mapping."""
    for form, file in outputs.items():
        with phase(form):
            _write(report, form, file)


def _write(report: Report, form: str, file: str) -> None:
    if form == "pdf":
        from detector.report.html import to_html  # noqa: PLC0415
        from detector.report.pdf import to_pdf  # noqa: PLC0415

        to_pdf(to_html(report), Path(file))
        return
    module, function = _renderer(form, file)
    render: Callable[[Report], str] = getattr(import_module(module), function)
    _put(file, render(report))


def _renderer(form: str, file: str) -> tuple[str, str]:
    """Module and function that make a format. Raises UncribError for a graph of an unknown kind."""
    if form != "graph":
        return _RENDERERS[form]
    function = _GRAPHS.get(Path(file).suffix.lower())
    if function is None:
        raise UncribError(f"--graph {file}: give a file name that ends in {' or '.join(_GRAPHS)}")
    return "detector.report.graph", function


def _put(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
        return
    try:
        with Path(file).open("w", encoding="utf-8", errors="replace", newline="\n") as target:
            target.write(text)
    except OSError as error:
        raise UncribError(f"{file} could not be written ({error.strerror}); choose another place") from None


def read_report(file: Path) -> Report:
    """A report that `--json` wrote. Raises UncribError where there is none."""
    from detector.report.serial import from_json  # noqa: PLC0415

    return from_json(read_text(file))


def read_text(file: Path) -> str:
    """The text of a file that the user named. Raises UncribError where it cannot be read."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise UncribError(f"{file} is not a text in UTF-8; give a report that --json wrote") from None
    except OSError as error:
        raise UncribError(
            f"{file} cannot be read ({error.strerror}); give a report that --json wrote"
        ) from None

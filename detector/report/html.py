"""The report as one self-contained HTML file that opens from disk, with a strict content security policy."""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FileSystemBytecodeCache, FunctionLoader, StrictUndefined
from markupsafe import Markup

from detector.errors import UncribError
from detector.evidence.finding import Finding, Json
from detector.report import wording
from detector.report.model import Report, Side
from detector.report.payload import packed
from detector.report.picture import picture
from detector.report.plot import plot
from detector.report.serial import checksum
from detector.report.text import one_line, shown
from detector.report.timeline import timeline
from detector.snapshot.cache import cache_folder
from detector.version import VERSION

SCRIPTS = ("report.js", "report-list.js", "report-code.js", "report-details.js")
"""joined in this order into the page's one script"""
WITHOUT_SCRIPT = 10
"""findings that a browser without scripts shows, with their code as plain text"""
MOST_LINES = 40
"""lines of each place that such a browser shows"""
MOST_WARNINGS = 500
"""warnings listed; the number of the others is stated"""


def to_html(report: Report) -> str:
    """The whole page. Everything from the repositories is escaped, and unseen characters are spelled out."""
    style, script = _template("report.css"), "".join(_template(name) for name in SCRIPTS)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            policy=_policy(style, script),
            style=style,
            script=script,
            payload=packed(report),
            checksum=checksum(report),
            picture=picture(report),
            plot=plot(report),
            timeline=timeline(report),
            titles={finding.id: finding.title for finding in report.findings},
            counting=wording.counting(report),
            set_apart=wording.set_apart(report),
            first=[_plain(report, finding) for finding in report.findings[:WITHOUT_SCRIPT]],
            blobs=[(file.side.upper(), file.path, file.blob) for file in report.files if file.matched_lines],
            warnings=report.warnings[:MOST_WARNINGS],
        )
    )


def _policy(style: str, script: str) -> str:
    """Nothing loads and nothing runs but this style and this script, known by their SHA-256."""
    sources = [
        "'sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() + "'"
        for part in (style, script)
    ]
    return (
        f"default-src 'none'; style-src {sources[0]}; script-src {sources[1]}; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _template(name: str) -> str:
    # the hash in the policy is of the text between the tags, in which a parser turns \r\n into \n
    return files("detector.templates").joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_template),
        bytecode_cache=_compiled(),
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    environment.filters |= {
        "bits": wording.bits,
        "share": wording.share,
        "e_value": wording.e_value,
        "day": wording.day,
        "place": wording.place,
        "kind": wording.kind_label,
        "about": wording.kind_about,
        "one_line": one_line,
        "own": Markup,
        "option": _option,
    }
    environment.globals |= {"strengths": wording.STRENGTHS, "commit_link": _commit_link}
    return environment


def _compiled() -> FileSystemBytecodeCache | None:
    """Where compiled templates are kept, as Python keeps compiled modules: it saves half the page's time."""
    try:
        folder = cache_folder("templates")
    except UncribError:
        return None
    return FileSystemBytecodeCache(str(folder), f"{VERSION}-%s") if os.access(folder, os.W_OK) else None


def _option(value: Json) -> str:
    """An option's value for a reader."""
    if isinstance(value, list | tuple):
        return ", ".join(_option(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)


def _commit_link(side: Side) -> str | None:
    """The side's tree at its commit, where the host is a known one with a `/blob/` address."""
    link = wording.permalink(side, "", 1, 1)
    return (
        link.split("/blob/")[0] + f"/tree/{side.commit}"
        if link and "/blob/" in link and side.commit
        else None
    )


def _plain(report: Report, finding: Finding) -> tuple[Finding, list[tuple[str, str]]]:
    """A finding with the code of its places as plain text, for browsers without scripts."""
    code = []
    for side, spans in (("a", finding.a), ("b", finding.b)):
        for span in spans:
            for excerpt in report.excerpts:
                last = excerpt.start_line + excerpt.text.count("\n")
                if (
                    excerpt.side == side
                    and excerpt.path == span.path
                    and excerpt.start_line <= span.start_line <= last
                ):
                    lines = excerpt.text.split("\n")[span.start_line - excerpt.start_line :]
                    text = "\n".join(lines[: min(span.end_line - span.start_line + 1, MOST_LINES)])
                    code.append((f"{side.upper()}: {wording.place(span)}", shown(text)))
                    break
    return finding, code

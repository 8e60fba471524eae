"""The words and number formats that every renderer uses, so that all of them say the same."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from detector.evidence.finding import Finding, Span, Strength
    from detector.report.model import Report, Side

STRENGTHS: tuple[Strength, ...] = ("none", "weak", "moderate", "strong", "very strong")
KINDS: dict[str, tuple[str, str]] = {
    "code": ("Code", "functions and classes that compute the same, whatever their names"),
    "identical": ("Identical files", "files that are the same to the byte or but for white space"),
    "history": ("History", "which revision the other side matches best, and who was first"),
    "config": ("Configuration", "keys and values of configuration files and defaults"),
    "tokenizer": ("Tokenizer", "vocabulary, merges, added and special tokens, chat template"),
    "weights": ("Weights", "names, shapes and values of a checkpoint's tensors"),
    "leftovers": ("Leftovers", "rare names, texts and references that survived a renaming"),
    "behaviour": ("Behaviour", "the same answers, above all the same wrong ones"),
    "base": ("Foundations", "models, services and data that either side is built on"),
    "agreement": ("Renaming", "one renaming that holds in code, keys, tensors and files alike"),
}
"""Evidence classes in the dossier's order: label, and what the class looks at."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def kind_label(kind: str) -> str:
    """The heading of an evidence class; a class without one here is named after itself."""
    return KINDS[kind][0] if kind in KINDS else kind.replace("_", " ").capitalize()


def kind_about(kind: str) -> str:
    """What an evidence class looks at, in a few words; empty for a class without words here."""
    return KINDS[kind][1] if kind in KINDS else ""


def bits(value: float) -> str:
    """Bits for people: one decimal below ten, thousands separated."""
    return f"{value:,.1f}" if abs(value) < 10 else f"{value:,.0f}"


def share(value: float) -> str:
    """A part of one as a percentage that never rounds something to nothing or almost all to all."""
    percent = 100 * value
    if 0 < percent < 1:
        return "< 1%"
    if 99 < percent < 100:
        return "> 99%"
    return f"{percent:.0f}%"


def e_value(value: float | None) -> str:
    """An expected number of coincidences, as `3·10⁻¹²`; a dash where a class has no such law."""
    if value is None:
        return "—"
    if value < 1e-300:
        return "< 10⁻³⁰⁰"
    if value >= 0.01:
        return f"{value:.2g}" if value < 100 else f"{value:,.0f}"
    exponent = math.floor(math.log10(value))
    digit = round(value / 10**exponent) if exponent > -300 else 1
    if digit == 10:
        digit, exponent = 1, exponent + 1
    power = "10" + str(exponent).translate(_SUPERSCRIPTS)
    return power if digit == 1 else f"{digit}·{power}"


def place(span: Span) -> str:
    """A span as `path:12-40 · name`."""
    lines = f"{span.start_line}" if span.end_line <= span.start_line else f"{span.start_line}-{span.end_line}"
    return f"{span.path}:{lines}" + (f" · {span.name}" if span.name else "")


def day(moment: str | None) -> str:
    """The date of an ISO 8601 time; the text itself where it is none."""
    if not moment:
        return "—"
    try:
        return datetime.fromisoformat(moment.replace("Z", "+00:00")).date().isoformat()
    except ValueError:
        return moment[:40]


def permalink(side: Side, path: str, start: int, end: int) -> str | None:
    """The web address of these lines at the exact commit; None where the host is not known."""
    if not side.web or not side.web.startswith(("https://", "http://")):
        return None
    parts = {
        "{commit}": side.commit or "",
        "{path}": quote(path, errors="replace"),
        "{start}": str(start),
        "{end}": str(end),
    }
    address = side.web
    for mark, part in parts.items():
        address = address.replace(mark, part)
    return address


def set_apart(report: Report) -> tuple[Finding, ...]:
    """The findings that an upstream or common public code accounts for."""
    return tuple(finding for finding in report.findings if finding.explained_by)


def counting(report: Report) -> tuple[Finding, ...]:
    """The findings that nothing explains, the strongest first."""
    return tuple(finding for finding in report.findings if not finding.explained_by)


def scale_step(strength: Strength) -> int:
    """0 for "none" to 4 for "very strong"."""
    return STRENGTHS.index(strength)

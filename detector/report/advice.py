"""What an author can do about findings before publishing: credit, licence, rewriting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from detector.report.model import Report
from detector.report.wording import counting, kind_label, scale_step
from detector.snapshot.model import Snapshot

_TO_DO = {
    "code": "name the source in the file's head and the README, and keep its copyright notice; "
    "or write it anew from the paper, without the source at hand",
    "identical": "keep the file's copyright notice and say where it comes from",
    "config": "say which model's settings these are, in the README or model card",
    "tokenizer": "name the tokenizer's origin in the model card",
    "weights": "name the base model in the model card (base_model), as its licence asks",
    "leftovers": "replace texts and names that still speak of the other project, or credit it",
    "behaviour": "name the base model in the model card (base_model)",
    "base": "name every model, service and data set that yours is built on",
    "agreement": "where names were only changed, treat the code as taken over: credit it",
}
_LICENCES = ("license", "licence", "copying", "unlicense")


def advice(report: Report, other: Snapshot) -> tuple[str, ...]:
    """Sentences for the author of side B about what it shares with side A, which `other` is.

    None for a verdict below "moderate": what every repository shares needs no credit.
    """
    least = scale_step("moderate")
    if scale_step(report.summary.verdict) < least:
        return ()
    found = Counter(finding.kind for finding in counting(report) if scale_step(finding.strength) >= least)
    lines = [f"{kind_label(kind)} ({found[kind]:,}): {todo}" for kind, todo in _TO_DO.items() if found[kind]]
    return (*lines, _licence(other))


def _licence(other: Snapshot) -> str:
    paths = sorted(_licence_files(other), key=lambda path: (path.count("/"), path))
    if paths:
        return f"read {paths[0]} of {other.label} and do what it asks for"
    return f"{other.label} holds no licence file: ask its authors before you publish what you took over"


def _licence_files(snapshot: Snapshot) -> Iterable[str]:
    for file in snapshot.files:
        if PurePosixPath(file.path).name.lower().split(".")[0].split("-")[0] in _LICENCES:
            yield file.path

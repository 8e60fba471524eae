"""Reports for the renderers' tests: real source text (of the standard library), renamed by a rule."""

from __future__ import annotations

import ast
import hashlib
import inspect
import random
import re
import statistics
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Literal

from detector.evidence.finding import (
    Aligned,
    Edge,
    Event,
    Finding,
    Graph,
    Json,
    Node,
    Reason,
    Rename,
    Site,
    Span,
)
from detector.report.model import Class, Excerpt, FileExtent, Report, Side, Summary, Tool
from detector.snapshot.model import Notice

COMMIT_A = "b02e4d7872bafd5a376e604ee069c2342f11062d"
COMMIT_B = "faede36e66128d1998dfcdda08161cda995355fa"
_KEPT = {"self", "cls", "None", "True", "False"}


@cache
def _functions(source: str) -> tuple[tuple[str, int, int, tuple[str, ...]], ...]:
    """(qualified name, first line, last line, own local names) of each function of a source text."""
    found = []

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                stores = {
                    item.id
                    for item in ast.walk(child)
                    if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
                }
                names = sorted((stores | {arg.arg for arg in child.args.args}) - _KEPT)
                found.append(
                    (prefix + child.name, child.lineno, child.end_lineno or child.lineno, tuple(names))
                )

    walk(ast.parse(source), "")
    return tuple(found)


def _renamed(text: str, names: dict[str, str]) -> str:
    if not names:
        return text
    kept = r"""#.*|[rbuf]*(?:\"{3}(?s:.*?)\"{3}|"[^"\n]*"|'[^'\n]*')"""
    words = "|".join(map(re.escape, names))
    return re.sub(rf"{kept}|\b({words})\b", lambda match: names[match[1]] if match[1] else match[0], text)


def _blob(text: str) -> str:
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sources_of(*modules: ModuleType) -> dict[str, str]:
    """The source texts of modules by path."""
    return {f"{module.__name__}.py": inspect.getsource(module) for module in modules}


def code_findings(
    sources: Mapping[str, str], *, copies: int = 1
) -> Iterator[tuple[Finding, Excerpt, Excerpt]]:
    """Each function of the sources (by path) beside itself under new names, at the same lines of `work/…`."""
    for copy in range(copies):
        for original, source in sources.items():
            lines = source.split("\n")
            path = f"{copy}/{original}" if copy else original
            for index, (name, start, end, own) in enumerate(_functions(source)):
                names = {old: f"{old}_{copy}x" if copy else f"{old[0]}_{old[::-1]}" for old in own}
                text = "\n".join(lines[start - 1 : end])
                weight = 30.0 + (end - start) * (1 + index % 7)
                other = _renamed(text, names)
                yield (
                    _code_finding(path, name, (start, end), names, weight),
                    Excerpt("a", f"src/{path}", _blob(text), start, text),
                    Excerpt("b", f"work/{path}", _blob(other), start, other),
                )


def _code_finding(
    path: str, name: str, lines: tuple[int, int], names: dict[str, str], bits: float
) -> Finding:
    start, end = lines
    blocks = []
    for first in range(start, end + 1, 3):
        last = min(first + 1, end)
        blocks.append(Aligned(first, last, first, last, round(bits / 7, 1)))
    return Finding(
        kind="code",
        title=f"{name} ↔ {name}",
        strength="very strong"
        if bits > 200
        else "strong"
        if bits > 80
        else "moderate"
        if bits > 40
        else "weak",
        bits=bits,
        e_value=2.0 ** -(bits - 20),
        a=(Span(f"src/{path}", name, start, end),),
        b=(Span(f"work/{path}", name, start, end),),
        lines=tuple(blocks),
        renames=tuple(
            Rename("variable", old, new, 4, 0, (Site(f"src/{path}", start, f"work/{path}", start),))
            for old, new in names.items()
        ),
        transformations=("renamed", "reformatted") if names else ("identical",),
        reasons=(
            Reason(
                "call of bisect over itertools.accumulate: in 3 of 310,000 public functions",
                16.6,
                start,
                start,
            ),
        ),
        id=hashlib.sha256(f"code {path} {name} {start}".encode()).hexdigest()[:12],
    )


def evidence_findings() -> tuple[Finding, ...]:
    """One finding of each other kind, with the shapes of `details` that the classes write."""
    tensors: list[Json] = [
        [f"vpm.encoder.layers.{n}.weight", f"vison.encoder.layers.{n}.weight", "[1152, 1152]"]
        for n in range(60)
    ]
    return (
        _other(
            "identical",
            "tokenizer.json: the same bytes on both sides",
            "very strong",
            900.0,
            {"blob": "288bd3afd90fea91887c711ea0a6554f9145aae5", "bytes": 9_085_698},
        ),
        _other(
            "history",
            "B matches A's revision of 2024-05-27 best; later fixes are absent",
            "strong",
            120.0,
            {
                "best": {"commit": COMMIT_A, "at": "2024-05-27T10:00:00Z"},
                "lacks": ["fix the slicing of tall images"],
            },
        ),
        _other(
            "config",
            "config.json: 31 of 33 keys hold the same value",
            "strong",
            85.0,
            {
                "pairs": [
                    ["query_num", "query_num", 96],
                    ["slice_mode", "slice_mode", True],
                    ["slice_config.patch_size", "slice_config.patch_size", 14],
                    ["slice_config.max_slice_nums", "slice_config.max_slice_nums", 9],
                    ["hidden_size", "hidden_size", 4096],
                ]
            },
        ),
        _other(
            "tokenizer",
            "256 added tokens, all shared",
            "strong",
            70.0,
            {
                "tokens": [
                    *(f"<|reserved_special_token_{n}|>" for n in range(250)),
                    *("<image>", "</image>", "<slice>"),
                ],
                "base": "Llama 3",
            },
        ),
        _other(
            "weights",
            "741 of 741 tensor names agree after two prefix renames",
            "very strong",
            640.0,
            {
                "renaming": {"vpm.": "vison.", "resampler.": "projection."},
                "pairs": tensors,
                "histogram": [
                    [-0.004, 12],
                    [-0.003, 80],
                    [-0.002, 310],
                    [-0.001, 702],
                    [0.0, 900],
                    [0.001, 690],
                    [0.002, 322],
                    [0.003, 77],
                    [0.004, 9],
                ],
            },
        ),
        _other(
            "leftovers",
            "a module that only A has is named in B",
            "strong",
            60.0,
            {"where": "auto_map", "name": "modeling_minicpmv.PreTrainedTokenizerFastWrapper"},
        ),
        _other(
            "behaviour",
            "the same wrong answer to 61 of 80 questions",
            "moderate",
            42.0,
            {
                "kappa": 0.71,
                "interval": [0.6, 0.8],
                "answers": [{"question": "How many cats?", "a": "3", "b": "3", "right": "2"}],
            },
        ),
    )


def _other(
    kind: str,
    title: str,
    strength: Literal["moderate", "strong", "very strong"],
    bits: float,
    details: dict[str, Json],
) -> Finding:
    name = {
        "identical": "tokenizer.json",
        "tokenizer": "tokenizer_config.json",
        "weights": "model.index.json",
        "behaviour": "answers.jsonl",
        "history": "resampler.py",
    }.get(kind, "config.json")
    return Finding(
        kind,
        title,
        strength,
        bits,
        (Span(name),),
        (Span(f"work/{name}"),),
        details=details,
        id=hashlib.sha256(f"{kind} {name}".encode()).hexdigest()[:12],
    )


def assembled(found: list[tuple[Finding, Excerpt, Excerpt]], others: tuple[Finding, ...]) -> Report:
    """A whole report around these findings, the strongest first, those that something explains last."""
    findings = sorted(
        [*(item[0] for item in found), *others], key=lambda f: (bool(f.explained_by), -f.bits, f.id)
    )
    excerpts = [excerpt for item in found for excerpt in item[1:]]
    counting = [finding for finding in findings if not finding.explained_by]
    renames = {(r.kind, r.a, r.b): r for finding in findings for r in finding.renames}
    return Report(
        tool=Tool("uncrib", "0.1.0", "310,204 functions of 124 packages, 2026-11-20", {"history": True}),
        a=Side(
            "https://github.com/example/original@v1",
            "example/original",
            COMMIT_A,
            "2024-05-27T10:12:00Z",
            40,
            310,
            5200,
            "https://github.com/example/original/blob/{commit}/{path}#L{start}-L{end}",
        ),
        b=Side(
            "hf:example/copy",
            "example/copy",
            COMMIT_B,
            "2024-05-28T19:34:47Z",
            13,
            60,
            1020,
            "https://huggingface.co/example/copy/blob/{commit}/{path}#L{start}-L{end}",
        ),
        summary=Summary(
            "very strong",
            "Very strong evidence of common origin: 93% of B's information is also in A.",
            sum(f.bits for f in counting),
            0.41,
            0.93,
            ("code that agrees in order, constants and calls", "one consistent renaming"),
            ("an upstream that both sides hold", "the same authors on both sides"),
            0.01,
        ),
        classes=_dossier(findings),
        findings=tuple(findings),
        renames=tuple(renames.values()),
        graph=Graph(
            (
                Node("a:x.py::f", "a", "x.py", "f", "function"),
                Node("b:y.py::g", "b", "y.py", "g", "function"),
            ),
            (Edge("a:x.py::f", "b:y.py::g", "match", 120.0),),
        ),
        events=(
            Event("2024-05-20T09:00:00Z", "a", COMMIT_A, "first commit"),
            Event("2024-05-23T12:30:00Z", "a", COMMIT_A, "Resampler.forward appears"),
            Event("2024-05-27T17:30:32Z", "b", COMMIT_B, "Projection.forward appears"),
            Event("2024-05-28T12:34:47Z", "b", COMMIT_B, "last commit"),
        ),
        warnings=(Notice("left out: larger than 4 MB", "weights.bin", "b"),),
        excerpts=tuple(excerpts),
        files=_extents(excerpts),
    )


def _dossier(findings: list[Finding]) -> tuple[Class, ...]:
    rows = []
    for kind in dict.fromkeys(["code", "identical", "history", *(finding.kind for finding in findings)]):
        own = [finding for finding in findings if finding.kind == kind]
        counting = [finding for finding in own if not finding.explained_by]
        best = counting[0] if counting else None
        rows.append(
            Class(
                kind,
                len(counting),
                len(own) - len(counting),
                best.strength if best else "none",
                best.id if best else None,
                best.e_value if best else None,
            )
        )
    return tuple(rows)


def _extents(excerpts: list[Excerpt]) -> tuple[FileExtent, ...]:
    last: dict[tuple[Literal["a", "b"], str], FileExtent] = {}
    for excerpt in excerpts:
        count = excerpt.text.count("\n") + 1
        known = last.get(
            (excerpt.side, excerpt.path), FileExtent(excerpt.side, excerpt.path, excerpt.blob, 0, 0)
        )
        last[excerpt.side, excerpt.path] = replace(
            known,
            lines=max(known.lines, excerpt.start_line + count - 1),
            matched_lines=known.matched_lines + count,
        )
    return tuple(last.values())


def typical() -> Report:
    """About sixty code findings of three real modules, one of each other kind, and three set apart."""
    found = list(code_findings(sources_of(random, statistics, textwrap)))
    for index in (3, 8, 12):
        finding, a, b = found[index]
        found[index] = (replace(finding, explained_by=("torchvision", "mmcv")), a, b)
    return assembled(found, evidence_findings())

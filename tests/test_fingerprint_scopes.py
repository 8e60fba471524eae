"""Names by binding, with the rules of Python: what a copier can rename leaves no trace."""

# ruff: noqa: E501  the programs read best on one line

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from git_factory import new_repository

from detector.fingerprint import workers
from detector.fingerprint.fingerprint import Declared, Fingerprint, World, fingerprints
from detector.fingerprint.repository import fingerprint_files, fingerprint_snapshots
from detector.snapshot import open_snapshot


def terms(source: str) -> list[set[int]]:
    return [
        set(unit.terms.ravel().tolist()) for unit in fingerprint_files({"m.py": source.encode()}).fingerprints
    ]


RENAMED = {
    "parameters of every kind": (
        "def f(one, /, two, *three, four=7, **five):\n    return hex(one), abs(two), sum(three), len(four), dir(five)\n",
        "one two three four five",
    ),
    "global": ("total = abs(-9.5)\ndef f():\n    global total\n    total = hex(total)\n", "total"),
    "nonlocal": (
        "def f():\n    total = abs(-9.5)\n    def g():\n        nonlocal total\n        total = hex(total)\n    return g\n",
        "total",
    ),
    "comprehensions": (
        "def f(rows):\n    return [hex(cell) for row in rows if len(row) > 9 for cell in row], {row: abs(row) for row in rows}\n",
        "rows row cell",
    ),
    "lambda": ("def f():\n    return sorted(key=lambda left, right=7: abs(left) - hex(right))\n", "left right"),
    "assignment expression": ("def f(rows):\n    if (count := len(rows)) > 9:\n        return hex(count)\n", "rows count"),
    "match": (
        "def f(x):\n    match x:\n        case [first, *others] if len(others) > 9:\n            return abs(first)\n"
        "        case {'k': found, **left}:\n            return hex(found)\n        case int() as number:\n            return bin(number)\n",
        "first others found left number",
    ),
    "except and with": (
        "def f(x):\n    try:\n        with open(x) as handle:\n            return handle.read(9)\n"
        "    except OSError as error:\n        return hash(error)\n",
        "handle error",
    ),
    "unpacking": ("def f(x):\n    (a1, [b1, *c1]), d1 = x.split(9)\n    return hex(a1), abs(b1), len(c1), bin(d1)\n", "a1 b1 c1 d1"),
    "del": ("def f(x):\n    spare = x.split(9)\n    del spare\n    return x\n", "spare"),
    "class body": ("class Thing:\n    size = abs(-9.5)\n    def grow(self, by):\n        return self.size + hex(by)\n", "Thing size grow by"),
    "attributes": (
        "class Thing:\n    def __init__(self, width):\n        self.width = abs(width)\n    def area(self):\n        return hex(self.width)\n",
        "Thing width area",
    ),
    "the receiver": ("class A:\n    def f(this, x):\n        this.y = hex(x)\n        return this.y\n", "this"),
    "nested functions": (
        "def outer(x):\n    def inner(y):\n        return hex(x) + abs(y)\n    return inner(x.strip(9))\n", "outer inner x y"
    ),
    "async": (
        "async def fetch_all(items):\n    async with open(items) as box:\n        async for item in box:\n"
        "            await item.strip(9)\n    return [hex(i) async for i in items]\n",
        "fetch_all items box item",
    ),
    "decorators of the repository": (
        "def wrapped(f):\n    return f\n@wrapped\ndef g(x):\n    return hex(abs(x))\n", "wrapped g"
    ),
    "type parameters": ("def f[Kind](x: Kind) -> Kind:\n    return hex(x)\n", "Kind"),
}  # fmt: skip


@pytest.mark.parametrize("binding", sorted(RENAMED))
def test_a_name_bound_inside_leaves_no_trace(binding: str) -> None:
    source, names = RENAMED[binding]
    renamed = source
    for position, name in enumerate(names.split()):
        renamed = re.sub(rf"\b{name}\b", f"q{position}_", renamed)
    assert renamed != source
    assert terms(renamed) == terms(source)


def test_a_local_that_has_the_name_of_a_builtin_is_a_local() -> None:
    assert terms("def f(abs):\n    return hex(abs(9.5))\n") == terms("def f(g):\n    return hex(g(9.5))\n")
    assert terms("def f(g):\n    return hex(g(9.5))\n") != terms("def f(g):\n    return hex(abs(9.5))\n")


def test_a_comprehension_does_not_leak_its_names() -> None:
    leaky = "def f(x):\n    y = [abs for abs in x]\n    return hex(abs(9.5))\n"
    assert terms(leaky)[-1] >= terms("def f(x):\n    return hex(abs(9.5))\n")[-1]


def test_star_imports_bring_outside_names() -> None:
    star = "from torch.nn.functional import *\ndef f(x):\n    return gelu(x.abs())\n"
    other = "from torch.nn.functional import *\ndef f(x):\n    return silu(x.abs())\n"
    assert terms(star)[-1] != terms(other)[-1]


def units(files: dict[str, bytes]) -> dict[str, set[int]]:
    found = fingerprint_files(files).fingerprints
    return {unit.unit.name: set(unit.terms.ravel().tolist()) for unit in found}


@pytest.mark.parametrize(
    "statement", ["from .tool import {}", "from pkg.tool import {}", "from ..pkg.tool import {}"]
)
def test_what_is_imported_from_the_repository_itself_can_be_renamed(statement: str) -> None:
    user = f"{statement}\ndef f(x):\n    return hex({{}}(x, 9.5))\n"
    tool = "def {}(x, y):\n    x.sort()\n    return x\n"
    first, second = (
        units({"pkg/tool.py": tool.format(n).encode(), "pkg/use.py": user.format(n, n).encode()})["f"]
        for n in ("slice_up", "cut")
    )
    assert first == second


def test_what_is_imported_from_outside_cannot() -> None:
    assert terms("from json import cut\ndef f(x):\n    return cut(x)\n") != terms(
        "from json import cat\ndef f(x):\n    return cat(x)\n"
    )


def test_units_have_qualified_names_kinds_and_lines() -> None:
    source = b"@dec\nclass A:\n    x = 9.5\n    @staticmethod\n    def f(a):\n        def g(): return 7.5\n        return g\n"
    found = [
        (u.unit.kind, u.unit.name, u.unit.start_line, u.unit.end_line)
        for u in fingerprint_files({"m.py": source}).fingerprints
    ]
    assert found == [
        ("module", "m", 1, 7),
        ("class", "A", 1, 7),
        ("method", "A.f", 4, 7),
        ("function", "A.f.g", 6, 6),
    ]


def test_equal_constants_of_other_types_do_not_depend_on_what_was_read_before() -> None:
    pair = b"def f(a, b):\n    t = (hex(a), abs(b))\n    return bin(t[1])\n"
    alone = fingerprint_files({"z.py": pair}).fingerprints[-1].terms.tolist()
    after = fingerprint_files({"a.py": b"x = [1.0, True, 1]\n", "z.py": pair}).fingerprints[-1].terms.tolist()
    assert alone == after


def test_a_missing_object_is_a_notice(tmp_path: Path) -> None:
    repository = new_repository(tmp_path / "a")
    repository.commit({"gone.py": "x = 9.5\n", "here.py": "y = abs(9.5)\n"})
    repository.drop(repository.git("rev-parse", "HEAD:gone.py"))
    prints = fingerprint_snapshots([open_snapshot(str(tmp_path / "a"))], 1)[0]
    assert [unit.unit.path for unit in prints.fingerprints] == ["here.py"]
    assert any(notice.where == "gone.py" and "missing" in notice.message for notice in prints.notices)


DIGEST = """
import hashlib, sys
from pathlib import Path
import detector.fingerprint.workers as workers
from detector.fingerprint.repository import fingerprint_snapshots
from detector.snapshot import open_snapshot
workers._SMALL = 0
prints = fingerprint_snapshots([open_snapshot(sys.argv[1])], int(sys.argv[2]))[0]
digest = hashlib.sha256()
for unit in prints.fingerprints:
    digest.update(repr((unit.unit, unit.names, unit.calls, unit.bases)).encode() + unit.terms.tobytes() + unit.nodes.tobytes())
print(len(prints.fingerprints), digest.hexdigest())
"""


def test_processes_and_hash_seed_change_nothing(tmp_path: Path) -> None:
    package = Path(__file__).parent.parent / "detector"
    new_repository(tmp_path / "a").commit({
        path.relative_to(package).as_posix(): path.read_bytes() for path in package.rglob("*.py")
    })  # fmt: skip
    said = {
        subprocess.run(
            [sys.executable, "-c", DIGEST, str(tmp_path / "a"), jobs],
            env={**os.environ, "PYTHONHASHSEED": seed, "UNCRIB_CACHE_DIR": str(tmp_path / f"cache {jobs}")},
            capture_output=True, check=True, text=True,
        ).stdout
        for jobs, seed in (("1", "1"), ("2", "7"), ("5", "0"))
    }  # fmt: skip
    assert len(said) == 1


def test_a_file_that_meets_an_error_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(file: Declared, world: World) -> list[Fingerprint]:
        if file.syntax.source.path == "bad.py":
            raise ValueError("unforeseen")
        return fingerprints(file, world)

    monkeypatch.setattr(workers, "fingerprints", failing)
    prints = fingerprint_files({"bad.py": b"x = abs(-9.5)\n", "good.py": b"y = abs(-7.5)\n"})
    assert [unit.unit.path for unit in prints.fingerprints] == ["good.py"]
    assert [(notice.where, "unforeseen" in notice.message) for notice in prints.notices] == [("bad.py", True)]

"""The laws of the normal form, over real modules of the standard library.

What a copier can change without changing what the code does leaves every unit's terms as they were;
what changes the computation changes them.
"""

# ruff: noqa: E501  the programs read best on one line

from __future__ import annotations

import ast
import builtins
import random
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.fingerprint.api import api
from detector.fingerprint.repository import fingerprint_files

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
MODULES = [
    "argparse.py", "bisect.py", "calendar.py", "colorsys.py", "configparser.py", "csv.py", "dataclasses.py",
    "difflib.py", "email/message.py", "fractions.py", "ftplib.py", "functools.py", "gettext.py", "heapq.py",
    "html/parser.py", "http/cookiejar.py", "json/decoder.py", "json/encoder.py", "mailbox.py", "optparse.py",
    "pprint.py", "random.py", "sched.py", "shlex.py", "smtplib.py", "statistics.py", "string.py", "tarfile.py",
    "textwrap.py", "tokenize.py", "urllib/parse.py", "wave.py", "xml/dom/minidom.py", "zipfile.py",
]  # fmt: skip
SOURCES = {name: (LIBRARY / name).read_text("utf-8") for name in MODULES if (LIBRARY / name).exists()}

Bags = list[tuple[str, frozenset[int]]]


def bags(source: str) -> Bags:
    """Kind and distinct terms of each unit, in the order of the text."""
    prints = fingerprint_files({"module.py": source.encode()}).fingerprints
    return [(unit.unit.kind, frozenset(unit.terms.ravel().tolist())) for unit in prints]


modules = st.sampled_from(sorted(SOURCES))
seeds = st.integers(0, 2**32)
law = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parsed(name: str) -> ast.Module:
    return ast.parse(SOURCES[name])


@given(modules)
@law
def test_formatting_comments_and_quotes_leave_no_trace(name: str) -> None:
    assert bags(ast.unparse(parsed(name))) == bags(SOURCES[name])


@given(modules, seeds)
@law
def test_renaming_locals_and_own_names_leaves_no_trace(name: str, seed: int) -> None:
    tree = parsed(name)
    before = bags(ast.unparse(tree))
    renamed = Renamer(renamable(tree), random.Random(seed)).visit(tree)
    assert bags(ast.unparse(renamed)) == before


@given(modules)
@law
def test_docstrings_and_annotations_leave_no_trace(name: str) -> None:
    tree = parsed(name)
    before = bags(ast.unparse(tree))
    assert bags(ast.unparse(Undressed().visit(tree))) == before


@given(modules, seeds)
@law
def test_import_aliases_leave_no_trace(name: str, seed: int) -> None:
    tree = parsed(name)
    before = bags(ast.unparse(tree))
    assert bags(ast.unparse(Aliased(tree, random.Random(seed)).visit(tree))) == before


@given(modules, seeds)
@law
def test_the_order_of_independent_statements_leaves_no_trace(name: str, seed: int) -> None:
    tree = parsed(name)
    before = bags(ast.unparse(tree))
    assert bags(ast.unparse(Permuted(random.Random(seed)).visit(tree))) == before


OTHER: dict[str, tuple[str, str]] = {
    "operator": ("def f(a, b):\n    return g(a - b)\n", "def f(a, b):\n    return g(a / b)\n"),
    "constant": ("def f(a):\n    return a * 37\n", "def f(a):\n    return a * 38\n"),
    "string": ("def f(a):\n    return a['width']\n", "def f(a):\n    return a['height']\n"),
    "external call": (
        "import math\ndef f(a):\n    return math.sin(a)\n",
        "import math\ndef f(a):\n    return math.cos(a)\n",
    ),
    "external method": ("def f(a):\n    return a.upper()\n", "def f(a):\n    return a.lower()\n"),
    "order of operands": (
        "def f(a):\n    return len(a) - abs(a)\n",
        "def f(a):\n    return abs(a) - len(a)\n",
    ),
    "test": (
        "def f(a):\n    if len(a) == 9:\n        return a.pop()\n",
        "def f(a):\n    if len(a) != 9:\n        return a.pop()\n",
    ),
}


@pytest.mark.parametrize(
    "change", ["operator", "constant", "string", "external call", "external method", "order of operands"]
)
def test_what_computes_something_else_has_other_terms(change: str) -> None:
    first, second = OTHER[change]
    assert bags(first) != bags(second)


SAME: dict[str, tuple[str, str]] = {
    "temporary introduced": ("def f(a):\n    return g(a + h(a, 7))\n", "def f(a):\n    t = h(a, 7)\n    s = a + t\n    return g(s)\n"),
    "tuple assignment split": ("def f(a):\n    x, y = len(a), abs(a)\n    return x - y\n", "def f(a):\n    y = abs(a)\n    x = len(a)\n    return x - y\n"),
    "augmented assignment": ("def f(a):\n    n = len(a)\n    n += 17\n    return n\n", "def f(a):\n    n = len(a) + 17\n    return n\n"),
    "loop and comprehension": (
        "def f(xs):\n    out = []\n    for x in xs:\n        out.append(x.strip(9))\n    return out\n",
        "def f(xs):\n    return [x.strip(9) for x in xs]\n",
    ),
    "branches and conditional expression": (
        "def f(a):\n    if a.isdigit():\n        n = int(a, 8)\n    else:\n        n = ord(a)\n    return hex(n)\n",
        "def f(a):\n    return hex(int(a, 8) if a.isdigit() else ord(a))\n",
    ),
    "negated test": (
        "def f(a):\n    if not a.isdigit():\n        return ord(a)\n    return hex(a)\n",
        "def f(a):\n    if a.isdigit():\n        return hex(a)\n    else:\n        return ord(a)\n",
    ),
    "mirrored comparison": ("def f(a):\n    return g(len(a) > abs(a))\n", "def f(a):\n    return g(abs(a) < len(a))\n"),
    "commuted operands": ("def f(a):\n    return len(a) + abs(a)\n", "def f(a):\n    return abs(a) + len(a)\n"),
    "list and tuple": ("def f(a):\n    return g([len(a), 9])\n", "def f(a):\n    return g((len(a), 9))\n"),
    "keyword order": ("import m\ndef f(a):\n    return m.g(x=len(a), y=9)\n", "import m\ndef f(a):\n    return m.g(y=9, x=len(a))\n"),
    "matrix product, three ways": (
        "import torch\ndef f(a, b):\n    return torch.matmul(a.abs(), b)\n",
        "def f(a, b):\n    return a.abs() @ b\n",
    ),
    "unsqueeze": ("def f(x):\n    return x.abs()[:, None]\n", "def f(x):\n    return x.abs().unsqueeze(1)\n"),
    "size and shape": ("def f(x):\n    return x.abs().size(0)\n", "def f(x):\n    return x.abs().shape[0]\n"),
    "assertions and logging": (
        "import logging\nlog = logging.getLogger(__name__)\ndef f(x):\n    assert x > 9\n    log.info('x %s', x)\n    print(x)\n    return x.abs()\n",
        "import logging\nlog = logging.getLogger(__name__)\ndef f(x):\n    return x.abs()\n",
    ),
    "helper inlined": (
        "def half(n, k):\n    return max(round(n / k) * k, k)\ndef f(a):\n    return g(half(len(a), 9))\n",
        "def half(n, k):\n    return max(round(n / k) * k, k)\ndef f(a):\n    return g(max(round(len(a) / 9) * 9, 9))\n",
    ),
    "piece cut off": (
        "def rest(a, n):\n    b = a.strip(n)\n    c = b.split(9)\n    return b, c\ndef f(a):\n    b, c = rest(a, len(a))\n    return hex(c) + abs(b)\n",
        "def f(a):\n    b = a.strip(len(a))\n    c = b.split(9)\n    return hex(c) + abs(b)\n",
    ),
    "piece cut off at the end": (
        "def rest(b, a):\n    if b.isdigit():\n        return hex(b)\n    return abs(a)\ndef f(a):\n    b = a.strip(9)\n    return rest(b, a)\n",
        "def f(a):\n    b = a.strip(9)\n    if b.isdigit():\n        return hex(b)\n    return abs(a)\n",
    ),
    "piece cut off a method, with its receiver": (
        "def rest(x, me):\n    me.v = x.split(me.w)\nclass A:\n    def f(self, x):\n        self.w = x.strip(9)\n        rest(x, self)\n        return abs(self.v)\n",
        "class A:\n    def f(self, x):\n        self.w = x.strip(9)\n        self.v = x.split(self.w)\n        return abs(self.v)\n",
    ),
    "constant named at the top": ("MEAN = (0.25, 0.5)\ndef f(a):\n    return g(MEAN, len(a))\n", "MEAN = (0.25, 0.5)\ndef f(a):\n    return g((0.25, 0.5), len(a))\n"),
    "no_grad decorator and block": (
        "import torch\n@torch.no_grad()\ndef f(a):\n    return a.abs()\n",
        "import torch\ndef f(a):\n    with torch.no_grad():\n        return a.abs()\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rewrite", sorted(SAME))
def test_rewrites_that_change_nothing_leave_no_trace(rewrite: str) -> None:
    first, second = SAME[rewrite]
    assert bags(first)[-1][1] == bags(second)[-1][1]


def test_a_method_turned_into_a_function_stays_the_same() -> None:
    method = "import torch\nclass A:\n    def __init__(self, scale):\n        self.scale = scale\n    def f(self, x):\n        return torch.einsum('ij,jk', self.scale, x.abs())\n"
    function = "import torch\ndef f(scale, x):\n    return torch.einsum('ij,jk', scale, x.abs())\n"
    assert bags(method)[-1][1] == bags(function)[-1][1]


METHOD = "class A:\n    def __init__(self):\n        self.norm = 9\n        self.width = 8\n    def f(self, x):\n        self.sum = self.norm(x.abs()) + self.width\n        return self.sum.strip(9) + self.g(x, 7)\n    def g(self, x, n):\n        return x.split(n)\n"
MOVED = {
    "bound by the class": ("def f(this, x):\n    this.sum = this.norm(x.abs()) + this.width\n    return this.sum.strip(9) + this.g(x, 7)\n", "    f = f\n"),
    "called by a method": ("def f(x, this):\n    this.sum = this.norm(x.abs()) + this.width\n    return this.sum.strip(9) + this.g(x, 7)\n", "    def h(self, x):\n        return f(x, self)\n"),
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(MOVED))
def test_a_method_moved_out_of_its_class_stays_the_same(how: str) -> None:
    function, rest = MOVED[how]
    start, end = METHOD.index("    def f"), METHOD.index("    def g")
    moved = f"{METHOD[:start]}{METHOD[end:]}{rest}{function}"

    def of(source: str) -> set[int]:
        prints = fingerprint_files({"m.py": source.encode()}).fingerprints
        return next(set(u.terms.ravel().tolist()) for u in prints if u.unit.name in ("A.f", "f"))

    assert of(moved) == of(METHOD)


def test_a_function_called_at_two_places_is_no_piece() -> None:
    whole = "def f(a):\n    b = a.strip(9)\n    b.sort()\n    return hex(b)\n"
    once = (
        "def rest(a):\n    b = a.strip(9)\n    b.sort()\n    return b\ndef f(a):\n    return hex(rest(a))\n"
    )
    twice = f"{once}def g(a):\n    return abs(rest(a))\n"
    assert bags(once)[2][1] == bags(whole)[1][1]
    assert bags(twice)[2][1] != bags(whole)[1][1]


def test_statements_of_a_piece_stand_under_the_lines_of_its_call() -> None:
    source = "def rest(a):\n    b = a.strip(9)\n    return b.split(8)\ndef f(a):\n    c = rest(a)\n    return hex(c)\n"
    caller = fingerprint_files({"m.py": source.encode()}).fingerprints[-1]
    assert {tuple(caller.statements[place, :2]) for place in caller.places.tolist()} == {(5, 5), (6, 6)}


def test_a_statement_stands_where_it_begins_and_ends_and_one_with_a_body_ends_at_its_colon() -> None:
    source = "@late\ndef f(a):  # why\n    é = a; b = [\n        é]  # so\n    if a: return b\n    else: return é\n"
    found = fingerprint_files({"m.py": source.encode()}).fingerprints[-1].statements.tolist()
    lines = source.encode().split(b"\n")
    texts = []
    for first, last, start, end in found:
        code = b"\n".join([*lines[first - 1 : last - 1], lines[last - 1][:end]])
        texts.append(code[start:].decode())
    heads = ["@late\ndef f(a):", "é = a", "b = [\n        é]", "if a:", "return b", "else:", "return é"]
    assert sorted(texts) == sorted(heads)


def test_a_parameter_turned_into_its_constant_keeps_the_abstract_terms() -> None:
    first = fingerprint_files({"a.py": b"def f(x, n):\n    return x.chunk(n, dim=1).abs()\n"}).fingerprints[
        -1
    ]
    second = fingerprint_files({"a.py": b"def f(x):\n    return x.chunk(7, dim=1).abs()\n"}).fingerprints[-1]
    assert set(first.terms[:, 3:].ravel().tolist()) <= set(second.terms[:, 3:].ravel().tolist())


# The changes, made on syntax trees


class Renamer(ast.NodeTransformer):
    """Gives each of some names another spelling, wherever it stands."""

    def __init__(self, names: set[str], chance: random.Random) -> None:
        self.names = {name: f"q{chance.randrange(10**6)}_{index}" for index, name in enumerate(sorted(names))}

    def of(self, name: str) -> str:
        return self.names.get(name, name)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("id", "arg", "attr", "name", "rest"):
            spelled = getattr(node, field, None)
            if isinstance(spelled, str) and not isinstance(node, (ast.alias, ast.keyword)):
                setattr(node, field, self.of(spelled))
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = [self.of(name) for name in node.names]
        return super().generic_visit(node)


def renamable(tree: ast.Module) -> set[str]:
    """Names that the module binds and nothing outside can know."""
    bound: set[str] = set()
    fixed = {*dir(builtins), *api().builtins, *api().hooks, *api().receivers, *api().containers}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.keyword) and node.arg:
            fixed.add(node.arg)
        elif isinstance(node, ast.alias):
            fixed |= {*(node.asname or node.name).split("."), *node.name.split(".")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            fixed.add(node.value)
        elif isinstance(node, ast.Attribute):
            fixed.add(node.attr)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            bound.add(node.name)
    own = {
        name
        for unit in ast.walk(tree)
        if isinstance(unit, ast.ClassDef)
        for member in unit.body
        if isinstance(member, ast.FunctionDef) and not member.name.startswith("__")
        for name in [member.name]
    }
    known = {*dir(builtins), *api().builtins, *api().hooks, *api().receivers, *api().containers}
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    strings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    imported = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.alias)
        for part in {*(node.asname or "").split("."), *node.name.split(".")}
    }
    elsewhere = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (not isinstance(node.value, (ast.Name, ast.Call)) or getattr(node.value, "id", "") in imported)
    }
    own = own - known - keywords - strings - imported - elsewhere
    return {
        name
        for name in (bound - fixed) | own
        if not (name.startswith("__") and name.endswith("__")) and name != "_"
    }


class Undressed(ast.NodeTransformer):
    """Takes docstrings and annotations away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._undressed(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._undressed(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._undressed(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return node
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def _undressed(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


class Aliased(ast.NodeTransformer):
    """`import x` becomes `import x as q`, and every use of it."""

    def __init__(self, tree: ast.Module, chance: random.Random) -> None:
        stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        stored |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        strings = {
            n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
        imports = [a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names if not a.asname]
        everywhere = [
            a.name for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names
        ]
        self.names = {
            name: f"q{chance.randrange(10**6)}"
            for name in imports
            if "." not in name and name not in stored and name not in strings and everywhere.count(name) == 1
            and not any(other.startswith(f"{name}.") for other in everywhere)
        }  # fmt: skip

    def visit_alias(self, node: ast.alias) -> ast.AST:
        return (
            ast.alias(node.name, self.names[node.name])
            if node.name in self.names and not node.asname
            else node
        )

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Name(self.names.get(node.id, node.id), node.ctx), node)


class Permuted(ast.NodeTransformer):
    """Swaps neighbouring assignments of simple names where neither uses what the other binds."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(node, (ast.FunctionDef, ast.If, ast.For, ast.While, ast.With)) and isinstance(
            body, list
        ):
            for at in range(len(body) - 1):
                if self.chance.random() < 0.7 and independent(body[at], body[at + 1]):
                    body[at], body[at + 1] = body[at + 1], body[at]
        return node


def is_pure(node: ast.AST) -> bool:
    """Does the node itself call nothing and bind nothing?"""
    return not isinstance(node, (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda))


def independent(first: ast.stmt, second: ast.stmt) -> bool:
    """Are both plain assignments of different names, free of calls, neither using the other's name?"""
    if not (isinstance(first, ast.Assign) and isinstance(second, ast.Assign)):
        return False
    bound = [node.id if isinstance(node, ast.Name) else None for s in (first, second) for node in s.targets]
    if None in bound or len(bound) != 2 or bound[0] == bound[1]:
        return False
    used = [{n.id for n in ast.walk(s.value) if isinstance(n, ast.Name)} for s in (first, second)]
    pure = all(is_pure(node) for s in (first, second) for node in ast.walk(s.value))
    return pure and bound[0] not in used[1] and bound[1] not in used[0]

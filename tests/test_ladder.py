"""The rewrites of the laundering ladder change how code looks, not what it does."""

from __future__ import annotations

import ast
from random import Random
from textwrap import dedent
from typing import Any

import libcst as cst
import pytest

from benchmarks.accuracy.ladder import apis, expressions, laundry, statements, structure
from benchmarks.accuracy.ladder.effect import effect, independent
from benchmarks.accuracy.ladder.rewrite import Book, Rewrite
from benchmarks.accuracy.ladder.sample import functions_in

PROGRAM = dedent(
    '''
    """A program of many habits."""
    import math

    SCALE = 2.5

    def area(width, height):
        """Of a box."""
        return width * height

    def perimeter(width, height):
        twice = width + height
        result = 2 * twice
        return result

    class Box:
        def __init__(self, width, height, labels=()):
            self.width, self.height = width, height
            self.labels = [label.upper() for label in labels if label]

        def describe(self, unit="cm"):
            size = area(self.width, self.height)
            rim = perimeter(self.width, self.height)
            text = f"{size} {unit} {rim!r}"
            if self.labels:
                text = text + "/" + ",".join(self.labels)
            else:
                text = text + "/none"
            return text

        def grow(self, step):
            self.width += step
            self._settle()

        def _settle(self):
            if self.width > 10 and self.height < 50:
                self.height = self.height + 1
                self.width = 10

    def statistics(values, limit=12):
        kept = []
        for value in values:
            if value < limit:
                kept.append(value ** 2)
        count = 0
        total = 0.0
        for item in kept:
            count += 1
            total = total + item * SCALE
        mean = total / count if count else 0.0
        low, high = (min(kept), max(kept)) if kept else (None, None)
        spread = math.sqrt(sum((item - mean) ** 2 for item in kept) + 1.25)
        kind = "empty" if not kept else "full"
        if not (count > 3 and mean > 10):
            kind = kind + "!"
        names = {"kind": kind, "count": count}
        ok = isinstance(low, (int, float)) and kind in ["full", "full!"]
        return names, mean, low, high, spread, ok

    def sign(number):
        if number < 0:
            return -1
        else:
            if number == 0:
                return 0
            return 1

    def countdown(start):
        seen = []
        while start > 0:
            start -= 3
            if start % 2 == 0:
                if start % 5 != 0:
                    seen.append(start)
        return seen

    def main(numbers):
        box = Box(numbers[0], numbers[1], ["a", "", "b"])
        before = box.describe()
        box.grow(numbers[2])
        signs = [sign(n) for n in numbers]
        return before, box.describe(unit="mm"), statistics(numbers), signs, countdown(numbers[-1])
    '''
)
INPUTS = ([3, 4, 9, 20], [1, 2, 3, 4, 5, 6, 7], [30, 40, 50], [0, -1, 0.5, 11], [9, 45, 6, 100])


def run(text: str, entry: str) -> list[Any]:
    space: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, "program.py", "exec"), space)
    return [space[entry](list(numbers)) for numbers in INPUTS]


@pytest.mark.parametrize("seed", range(8))
def test_a_laundered_program_returns_what_the_original_returns(seed: int) -> None:
    expected = run(PROGRAM, "main")
    for laundered in laundry.launder({"program.py": PROGRAM}, f"seed {seed}"):
        (entry,) = laundered.units("program.py", "main")[:1]
        assert run(laundered.files["program.py"], entry) == expected


def test_every_level_goes_further_than_the_one_before() -> None:
    texts = [laundered.files["program.py"] for laundered in laundry.launder({"program.py": PROGRAM}, "x")]
    assert len({ast.dump(ast.parse(text)) for text in [PROGRAM, *texts]}) == 5


def test_the_same_seed_gives_the_same_copy() -> None:
    once, again = (laundry.launder({"program.py": PROGRAM}, "x") for _ in range(2))
    assert [level.files for level in once] == [level.files for level in again]
    assert once[-1].files != laundry.launder({"program.py": PROGRAM}, "y")[-1].files


def test_renaming_leaves_no_own_name_behind() -> None:
    first = laundry.launder({"program.py": PROGRAM}, "x")[0].files["program.py"]
    for name in ("perimeter", "Box", "_settle", "kept", "spread", "habits"):
        assert name not in first
    assert "describe" in first  # called on `box`, which may be anything


FOREIGN = dedent(
    """
    import math
    import statistics
    from collections import Counter

    class Meter(Counter):
        def most(self):
            return self.most_common(1)

        def size(self):
            return len(self.items())

    class Scale:
        def __init__(self, base):
            self.log = math.log
            self.mean = statistics.mean
            self.base = base
            self.hidden = base * 2

        def count(self, values):
            return values.count(self.base) + self._twice(self.hidden)

        def _twice(self, value):
            return 2 * value

    def main(numbers):
        scale, meter = Scale(3), Meter(numbers)
        logs = [math.log(abs(n) + 1) for n in numbers]
        averages = statistics.mean(numbers), scale.mean(numbers)
        return logs, averages, scale.log(8), scale.count(numbers), meter.most(), meter.size()
    """
)


@pytest.mark.parametrize("seed", range(4))
def test_an_attribute_that_shares_its_name_with_an_outer_one_keeps_it(seed: int) -> None:
    expected = run(FOREIGN, "main")
    for laundered in laundry.launder({"program.py": FOREIGN}, str(seed)):
        text = laundered.files["program.py"]
        assert run(text, laundered.units("program.py", "main")[0]) == expected
        assert "math.log" in text and "statistics.mean" in text
        assert "_twice" not in text and "hidden" not in text


def test_an_own_function_that_is_reached_through_its_module_keeps_its_name() -> None:
    files = {
        "tools.py": "def halve(x):\n    return x / 2\n",
        "use.py": "import tools\ny = tools.halve(4)\n",
    }
    for laundered in laundry.launder(files, "x"):
        assert "def halve" in laundered.files["tools.py"]
        assert "tools.halve" in laundered.files["use.py"]


@pytest.mark.parametrize("seed", range(12))
def test_every_function_of_a_copy_is_a_piece_of_one_original(seed: int) -> None:
    originals = [function.name for function in functions_in("program.py", PROGRAM)]
    for laundered in laundry.launder({"program.py": PROGRAM}, str(seed)):
        defined = [f.name for f in functions_in("program.py", laundered.files["program.py"])]
        pieces = [piece for name in originals for piece in laundered.units("program.py", name)]
        assert sorted(pieces) == sorted(defined)


REWRITES: list[tuple[type[Rewrite], str, str]] = [
    (statements.Swap, "a = 1\nb = x\nreturn a + b", "b = x\na = 1\nreturn a + b"),
    (statements.Split, "a, b = 1, x\nreturn a", "a = 1\nb = x\nreturn a"),
    (statements.Merge, "a = 1\nb = x\nreturn a", "(a, b) = (1, x)\nreturn a"),
    (statements.InlineTemporary, "a = x + 1\nb = a * 2\nreturn (b, b)", "b = (x + 1) * 2\nreturn (b, b)"),
    (statements.Augment, "n = 0\nn += x\nreturn n", "n = 0\nn = n + x\nreturn n"),
    (expressions.ComprehensionToLoop, "v = [y for y in x if y]\nreturn v",
     "v = []\nfor y in x:\n    if y:\n        v.append(y)\nreturn v"),
    (expressions.LoopToComprehension, "v = []\nfor y in x:\n    v.append(y)\nreturn v",
     "v = [y for y in x]\nreturn v"),
    (expressions.BranchesToConditional, "if x:\n    a = 1\nelse:\n    a = 2\nreturn a",
     "a = 1 if x else 2\nreturn a"),
    (expressions.NegateTest, "if x is None:\n    a = 1\nelse:\n    a = 2\nreturn a",
     "if x is not None:\n    a = 2\nelse:\n    a = 1\nreturn a"),
    (expressions.FlipComparison, "return x < 3", "return 3 > x"),
    (expressions.DeMorgan, "return not (x and z)", "return not x or not z"),
    (expressions.ListTuple, "return x in [1, 2]", "return x in (1, 2)"),
    (apis.OperatorForm, "return x ** 2", "return pow(x, 2)"),
    (apis.OperatorForm, "import torch\nreturn torch.matmul(x, z)", "import torch\nreturn x @ z"),
    (apis.OperatorForm, "import torch\nreturn torch.exp(x)", "import torch\nreturn x.exp()"),
    (apis.OperatorForm, "return x.unsqueeze(1)", "return x[:, None]"),
    (apis.Positional, "return np.sum(x, 0)", "return np.sum(x, axis=0)"),
    (apis.Positional, "return np.sum(x, axis=0)", "return np.sum(x, 0)"),
    (apis.Literals, "return dict()", "return {}"),
    (structure.Nesting, "if x and z:\n    a()", "if x:\n    if z:\n        a()"),
    (structure.EarlyReturn, "a()\nif x:\n    b()", "a()\nif not x:\n    return\nb()"),
]  # fmt: skip


@pytest.mark.parametrize(("rewrite", "before", "after"), REWRITES)
def test_a_rewrite_where_its_precondition_holds(rewrite: type[Rewrite], before: str, after: str) -> None:
    assert rewritten(rewrite, before) == ast.unparse(ast.parse(function(after)))


KEPT: list[tuple[type[Rewrite], str]] = [
    (statements.Swap, "a = f(x)\nb = x[0]\nreturn a + b"),
    (statements.Swap, "a = x\nb = a\nreturn b"),
    (statements.Split, "(a, x) = (x, a)\nreturn a"),
    (statements.Merge, "a = x\nb = a + 1\nreturn b"),
    (statements.InlineTemporary, "a = f(x)\nb = g(1) + a\nreturn (b, b)"),
    (statements.InlineTemporary, "a = x\nb = [a for y in z]\nreturn (b, b)"),
    (statements.Augment, "n = x\nn += z\nreturn n"),
    (expressions.ComprehensionToLoop, "y = 1\nv = [y for y in x]\nreturn (v, y)"),
    (expressions.LoopToComprehension, "v = []\nfor y in x:\n    v.append(y)\nreturn (v, y)"),
    (expressions.LoopToComprehension, "v = []\nfor y in x:\n    v.append(len(v))\nreturn v"),
    (expressions.FlipComparison, "return f(x) < g(z)"),
    (apis.Positional, "return np.sum(x, 0, None)"),
    (structure.Nesting, "if x and z:\n    a()\nelse:\n    b()"),
]


@pytest.mark.parametrize(("rewrite", "text"), KEPT)
def test_no_rewrite_where_its_precondition_fails(rewrite: type[Rewrite], text: str) -> None:
    assert rewritten(rewrite, text) == ast.unparse(ast.parse(function(text)))


def test_a_method_that_calls_super_stays_where_it_is() -> None:
    body = "y = super().go(x)\n        z = y + 1\n        w = z * 2\n        return w"
    text = f"class A(B):\n\n    def go(self, x):\n        {body}"
    for rewrite in (structure.MethodToFunction(book()), structure.Extract(book(), True)):
        assert ast.unparse(ast.parse(cst.parse_module(text).visit(rewrite).code)) == text


def test_a_run_that_may_return_is_not_taken_from_the_middle() -> None:
    text = "def f(x):\n    a = 1\n    if x:\n        return a\n    b = 2\n    return b"
    space: dict[str, Any] = {}
    exec(cst.parse_module(text).visit(structure.Extract(book(), False)).code, space)
    assert [space["f"](0), space["f"](1)] == [2, 1]


def test_effects_of_statements() -> None:
    found = effect("for i in range(3):\n    total += i\n")
    assert (sorted(found.reads), sorted(found.writes)) == (["i", "range", "total"], ["i", "total"])
    assert not found.definite
    assert independent("a = x + 1", "b = x * 2")
    assert not independent("a = x.pop()", "b = x[0]")


class _Always(Random):
    """Draws every site."""

    def random(self) -> float:
        return 0.0


def book() -> Book:
    return Book(_Always(1), set())


def function(body: str) -> str:
    return "import torch\n\ndef f(x, z):\n" + "\n".join(f"    {line}" for line in body.split("\n"))


def rewritten(rewrite: type[Rewrite], body: str) -> str:
    return ast.unparse(ast.parse(cst.parse_module(function(body)).visit(rewrite(book())).code))

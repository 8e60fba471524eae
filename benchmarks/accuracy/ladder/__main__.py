"""`python -m benchmarks.accuracy.ladder`: run the ladder and write its table into docs/accuracy.md.

What is done is kept under benchmarks/.cache/ladder, so a run that was interrupted goes on where it stopped.
`--misses N` prints N functions of 6 or more statements that each level loses although they say enough,
before and after.
"""

from __future__ import annotations

import argparse
import ast
import random
from pathlib import Path

from benchmarks.accuracy.ladder.laundry import LEVELS, laundered
from benchmarks.accuracy.ladder.sample import CACHE, SEARCHED, Program, haystack, program, requirements
from benchmarks.accuracy.ladder.search import Outcome, outcomes
from benchmarks.accuracy.ladder.table import THRESHOLD, ladder_table
from benchmarks.accuracy.page import PAGE, write_section
from detector.background import Background
from detector.candidate.bag import bags
from detector.errors import UncribError


def main() -> None:
    """Run it."""
    options = _options()
    background = Background.open()
    hay = bags(haystack(options.haystack, options.packages), background.bits)
    found: list[Outcome] = []
    programs: dict[str, Program] = {}
    for requirement in requirements(SEARCHED)[: options.programs]:
        try:
            source = program(requirement, options.bytes, options.packages)
        except UncribError as error:
            print(f"left out: {error}")
            continue
        programs[requirement] = source
        levels = laundered(source.files, requirement, CACHE / "laundered")
        found += outcomes(source, levels, hay, background)
        print(f"{requirement}: {len(source.functions)} functions", flush=True)
    if options.misses:
        _print_misses(programs, found, options.misses)
    write_section("ladder", ladder_table(found, len(hay)), options.page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.ladder", description=__doc__)
    parser.add_argument("--packages", type=Path, default=CACHE / "packages", help="where downloads are kept")
    parser.add_argument("--programs", type=int, help="launder only the first so many packages")
    parser.add_argument("--bytes", type=int, default=30_000, help="code laundered from each package")
    parser.add_argument("--haystack", type=int, default=20_000, help="unrelated units to search among")
    parser.add_argument("--misses", type=int, default=0, help="print so many lost functions of each level")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write the table into")
    return parser.parse_args()


def _print_misses(programs: dict[str, Program], found: list[Outcome], count: int) -> None:
    for level in range(1, len(LEVELS) + 1):
        lost = [
            outcome
            for outcome in found
            if outcome.level == level
            and outcome.function.statements > 5
            and outcome.e_value > THRESHOLD >= outcome.ceiling
        ]
        random.Random(level).shuffle(lost)
        for outcome in lost[:count]:
            source, function = programs[outcome.program], outcome.function
            copy = laundered(source.files, source.name, CACHE / "laundered")[level - 1]
            print(f"\n=== level {level}: {source.name} {function.path}:{function.name}")
            print(f"E {outcome.e_value:.2g}, unchanged {outcome.ceiling:.2g}; score {outcome.score:.0f}")
            print(_definition(source.files[function.path], function.name))
            for name in copy.units(function.path, function.name):
                print("--- becomes", _definition(copy.files[function.path], name), sep="\n")


def _definition(text: str, name: str) -> str:
    body = ast.parse(text).body
    for part in name.split("."):
        named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        node = next((n for n in body if isinstance(n, named) and n.name == part), None)
        if node is None:
            return f"(no {name})"
        body, text = node.body, ast.unparse(node)
    return text


if __name__ == "__main__":
    main()

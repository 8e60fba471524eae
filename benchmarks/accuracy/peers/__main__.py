"""`python -m benchmarks.accuracy.peers`: Uncrib and other tools on the same work, into docs/accuracy.md.

Tools are installed, and what they did is kept, under benchmarks/.cache/peers (`--home`): only what is
missing, or was done by other code or on other files, is run. A tool that cannot be installed is left out with
the reason, and so are packages and repositories that cannot be had.
`--pairs FILE` adds repository pairs, JSON with lists `derived` and `independent` of {a, b}, each side
`owner/name@revision`. `--jplag CMD` adds JPlag.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.accuracy.ladder.sample import CACHE as LADDER
from benchmarks.accuracy.page import PAGE, write_section
from benchmarks.accuracy.peers.record import recorded
from benchmarks.accuracy.peers.running import Run
from benchmarks.accuracy.peers.tables import Outcome, function_table, machine, repository_table, score_table
from benchmarks.accuracy.peers.tools import Tool, ToolError, dolos, jplag, python_tool, uncrib
from benchmarks.accuracy.peers.work import Work, function_work, repository_work

HOME = Path("benchmarks/.cache/peers")


def main() -> None:
    """Run it."""
    options = _options()
    options.home.mkdir(parents=True, exist_ok=True)
    tools, left_out = _tools(options)
    place, kept = options.home / "work", options.home / "runs"
    works = list(function_work(options.functions, options.decoys, options.packages, place, left_out))
    outcomes = _outcomes(tools, works, kept, left_out)
    others = len({right for _, right in works[0].true | works[0].false}) - len(works[0].true)
    text = [
        f"{len(works[0].true)} functions against their originals and {others} functions of other packages."
        f" {machine()}.",
        function_table(outcomes, works),
    ]
    if options.pairs:
        work = repository_work(options.pairs, options.mirror, place, left_out)
        outcomes = _outcomes(tools, [work], kept, left_out)
        text += [
            f"{len(work.true)} derived and {len(work.false)} independent pairs of repositories.",
            repository_table(outcomes, work),
            "Scores of these pairs; 0.00 where a tool reports nothing:",
            score_table(outcomes, work),
        ]
    text += [f"Left out: {reason}." for reason in left_out]
    write_section("peers", "\n\n".join(text), options.page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.peers", description=__doc__)
    parser.add_argument("--functions", type=int, default=400, help="functions to search for at each level")
    parser.add_argument("--decoys", type=int, default=1500, help="functions of other packages beside them")
    parser.add_argument("--packages", type=Path, default=LADDER / "packages", help="where downloads are kept")
    parser.add_argument("--home", type=Path, default=HOME, help="where tools and work are kept")
    parser.add_argument("--pairs", type=Path, help="JSON file of repository pairs")
    parser.add_argument("--mirror", type=Path, help="folder of repositories OWNER+NAME/repo")
    parser.add_argument("--jplag", metavar="CMD", help="a command that runs JPlag")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write the tables into")
    return parser.parse_args()


def _tools(options: argparse.Namespace) -> tuple[list[Tool], list[str]]:
    known: dict[str, Callable[[], Tool]] = {
        "copydetect": lambda: python_tool("copydetect", options.home),
        "compare50": lambda: python_tool("compare50", options.home),
        "Dolos": lambda: dolos(options.home),
    }
    found, left_out = [uncrib()], []
    for name, made in known.items():
        try:
            found.append(made())
        except ToolError as error:
            left_out.append(f"{name}, as it could not be installed ({error})")
    if options.jplag:
        found.append(jplag(options.jplag))
    else:
        left_out.append("JPlag, as no command that runs it was given (`--jplag`)")
    return found, left_out


def _outcomes(tools: list[Tool], works: list[Work], kept: Path, left_out: list[str]) -> list[Outcome]:
    """Run every tool on every work; what did not finish is added to what is left out."""
    outcomes = []
    for tool in tools:
        runs: list[Run | None] = []
        for work in works:
            try:
                runs.append(recorded(tool, work, kept))
            except ToolError as error:
                left_out.append(f"{tool.name} on {work.name} ({error})")
                runs.append(None)
            print(f"{tool.name}, {work.name}: {_spent(runs[-1])}", flush=True)
        outcomes.append(Outcome(tool.name, tuple(runs)))
    return outcomes


def _spent(done: Run | None) -> str:
    return f"{done.seconds:.1f} s" if done else "not finished"


if __name__ == "__main__":
    main()

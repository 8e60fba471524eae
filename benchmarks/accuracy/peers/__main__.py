"""`python -m benchmarks.accuracy.peers`: Uncrib and other tools on the same work, into docs/accuracy.md.

Tools are installed under benchmarks/.cache/peers (`--home`); one that cannot be is left out with the reason.
`--pairs FILE` adds repository pairs, JSON with lists `derived` and `independent` of {a, b}, each side
`owner/name@revision`. `--jplag CMD` adds JPlag.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.accuracy.ladder.sample import CACHE as LADDER
from benchmarks.accuracy.page import PAGE, table, write_section
from benchmarks.accuracy.peers.measures import Pair, area, first, recall_without_false
from benchmarks.accuracy.peers.tools import Run, Tool, ToolError, dolos, jplag, python_tool, run, uncrib
from benchmarks.accuracy.peers.work import Work, function_work, repository_work

HOME = Path("benchmarks/.cache/peers")


def main() -> None:
    """Run it."""
    options = _options()
    options.home.mkdir(parents=True, exist_ok=True)
    tools, left_out = _tools(options)
    works = list(function_work(options.functions, options.decoys, options.packages, options.home / "work"))
    text = [
        f"{options.functions} functions of 6 or more statements, laundered, each in a file of its own below"
        f" the imports that it uses, against the {options.functions} originals and {options.decoys} functions"
        " of other packages; all tools as they come. Cells: found before the first false report / right one"
        " first / area under precision and recall.",
        _functions(tools, works, left_out),
    ]
    if options.pairs:
        pairs = list(repository_work(options.pairs, options.mirror, options.home / "work"))
        text += [
            f"{sum(derived for _, derived in pairs)} derived and {sum(not derived for _, derived in pairs)}"
            " independent pairs of repositories: derived pairs that score above every independent one.",
            _repositories(tools, pairs, left_out),
        ]
    text += [f"Left out: {reason}." for reason in left_out]
    write_section("peers", "\n\n".join(text), options.page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.peers", description=__doc__)
    parser.add_argument("--functions", type=int, default=100, help="functions to search for at each level")
    parser.add_argument("--decoys", type=int, default=400, help="functions of other packages beside them")
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


def _functions(tools: list[Tool], works: list[Work], left_out: list[str]) -> str:
    rows = []
    for tool in tools:
        try:
            runs = [run(tool, work.folder) for work in works]
        except ToolError as error:
            left_out.append(f"{tool.name} on functions ({error})")
            continue
        rows.append([tool.name, *map(_cell, runs, works), *_cost(runs)])
        print(rows[-1], flush=True)
    return table(["tool", *(work.name for work in works), "time:", "memory:"], rows)


def _cell(done: Run, work: Work) -> str:
    shares = (measure(done.scores, work.true) for measure in (recall_without_false, first))
    return f"{' / '.join(f'{100 * share:.0f} %' for share in shares)} / {area(done.scores, work.true):.2f}"


def _repositories(tools: list[Tool], pairs: list[tuple[Work, bool]], left_out: list[str]) -> str:
    rows = []
    for tool in tools:
        runs, scores, lost = [], {}, []
        for work, _ in pairs:
            try:
                runs.append(run(tool, work.folder, whole=True))
                scores[work.name, ""] = max(runs[-1].scores.values(), default=0.0)
            except ToolError as error:
                lost.append(f"{tool.name} on {work.name} ({error})")
        left_out += lost
        true: set[Pair] = {(work.name, "") for work, derived in pairs if derived}
        recalled = recall_without_false(scores, true)
        rows.append([tool.name, f"{100 * recalled:.0f} %", f"{area(scores, true):.2f}", *_cost(runs)])
        print(rows[-1], {name: round(score, 3) for (name, _), score in scores.items()}, flush=True)
    return table(["tool", "recall:", "area:", "time:", "memory:"], rows)


def _cost(runs: list[Run]) -> tuple[str, str]:
    return f"{sum(r.seconds for r in runs):.0f} s", f"{max((r.megabytes for r in runs), default=0):.0f} MB"


if __name__ == "__main__":
    main()

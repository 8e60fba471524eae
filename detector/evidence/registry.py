"""The one list of evidence classes. A class is a module of this package with a function `find`.

`find(a, b, context)` takes the two snapshots and what earlier classes found, and returns an `Evidence`.
Adding a class is adding a module and its name to `CLASSES`, in the order in which they run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from detector.errors import UncribError
from detector.options import Options

if TYPE_CHECKING:
    from detector.evidence.finding import Evidence
    from detector.snapshot.model import Snapshot

CLASSES: tuple[str, ...] = (
    "identical",
    "code",
    "config",
    "tokenizer",
    "weights",
    "leftovers",
    "base",
    "history",
    "behaviour",
    "agreement",
)

BESIDE: tuple[tuple[str, ...], ...] = (("leftovers", "base"), ("config", "identical", "tokenizer"))
"""classes that read nothing of `Context.earlier`, and so may run beside `code`, each group in a process;
those of a group read the same things, and the groups take about as long as each other"""

INDEPENDENT = frozenset({"code"}).union(*BESIDE)

NEEDED: Mapping[str, Callable[[Options], bool]] = {
    "history": lambda options: options.history is not False,
    "behaviour": lambda options: bool(options.answers),
}
"""classes that have nothing to look at under some options, and then are not even loaded"""


@dataclass(frozen=True, slots=True)
class Context:
    """What a class may use besides the snapshots.

    `earlier` holds the evidence of the classes that ran before, by name. `progress(phase, done, total)`
    may be called as often as one likes.
    """

    options: Options = Options()
    upstreams: tuple[Snapshot, ...] = ()
    earlier: Mapping[str, Evidence] = field(default_factory=dict)
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None


Find: TypeAlias = "Callable[[Snapshot, Snapshot, Context], Evidence]"


def chosen(options: Options) -> tuple[str, ...]:
    """The classes that the options leave, in order. Raises UncribError for a name that is none."""
    for name in (*options.only, *options.skip):
        if name not in CLASSES:
            raise UncribError(f"there is no evidence class {name!r}; choose from {', '.join(CLASSES)}")
    return tuple(
        name for name in CLASSES if (not options.only or name in options.only) and name not in options.skip
    )


def finder(name: str, options: Options) -> Find:
    """The function of a class; its module is loaded here, where it is about to run."""
    if name in NEEDED and not NEEDED[name](options):
        return _nothing
    find: Find = import_module(f"detector.evidence.{name}").find
    return find


def _nothing(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    from detector.evidence.finding import Evidence  # noqa: PLC0415  loaded while the sources open

    return Evidence()

"""A YAML tree composed from the parser's events, with aliases counted as if written out.

PyYAML's own composer recurses in C, and its loaders let ten lines of aliases stand for a billion nodes. Here
the tree is built without recursion, and refused before it grows: an alias costs as much as what it repeats.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from detector.evidence.finding import Json
from detector.evidence.readers.unreadable import Unreadable

if TYPE_CHECKING:
    from yaml.events import Event

MOST_NODES = 50_000
"""nodes of a file, aliases written out"""
DEEPEST = 100
"""levels of nesting"""
_NULLS = ("", "~", "null")
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


class _Open:
    """A collection whose end has not come, the key that waits for its value, the nodes before it."""

    __slots__ = ("anchor", "before", "key", "value")

    def __init__(self, value: dict[str, Json] | list[Json], anchor: str | None, before: int) -> None:
        self.value, self.anchor, self.before = value, anchor, before
        self.key: str | None = None

    def add(self, item: Json, written: str) -> None:
        """Take a value, or the key of the next one as it is `written`."""
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is None:
            self.key = written
        else:
            self._set(self.key, item)
            self.key = None

    def _set(self, key: str, item: Json) -> None:
        assert isinstance(self.value, dict)
        if key == "<<":
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict):
                    self.value.update({name: held for name, held in part.items() if name not in self.value})
        else:
            self.value[key] = item


def compose(events: Iterable[Event]) -> Json:
    """The tree of a stream of events; a list if there are several documents. Raises Unreadable."""
    from yaml import events as kinds  # noqa: PLC0415

    complete = (kinds.ScalarEvent, kinds.AliasEvent, kinds.CollectionEndEvent)
    root = _Open([], None, 0)
    stack = [root]
    anchored: dict[str, tuple[Json, int]] = {}
    nodes = 0
    for event in events:
        done: Json = None
        if isinstance(event, kinds.ScalarEvent):
            nodes += 1
            done = scalar(event.value) if event.implicit[0] else event.value
            if event.anchor:
                anchored[event.anchor] = (done, 1)
        elif isinstance(event, kinds.AliasEvent):
            if event.anchor not in anchored:
                raise Unreadable("has an alias to itself or to nothing")
            done, size = anchored[event.anchor]
            nodes += size
        elif isinstance(event, kinds.CollectionStartEvent):
            is_list = isinstance(event, kinds.SequenceStartEvent)
            stack.append(_Open([] if is_list else {}, event.anchor, nodes))
            nodes += 1
        elif isinstance(event, kinds.CollectionEndEvent):
            closed = stack.pop()
            done = closed.value
            if closed.anchor:
                anchored[closed.anchor] = (done, nodes - closed.before)
        if nodes > MOST_NODES or len(stack) > DEEPEST:
            raise Unreadable("is too large or too deep once its aliases are written out")
        if isinstance(event, complete):
            stack[-1].add(done, getattr(event, "value", ""))
    documents = root.value
    return documents[0] if isinstance(documents, list) and len(documents) == 1 else documents


def scalar(text: str) -> Json:
    """A plain scalar by the core schema of YAML 1.2 and its older booleans; 1e-4 is a number, as is meant."""
    if 0 < len(text) <= 40 and (text[0].isdigit() or text[0] in "+-."):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        return text
    lowered = text.lower()
    if lowered in _NULLS:
        return None
    if lowered in _TRUE or lowered in _FALSE:
        return lowered in _TRUE
    return text

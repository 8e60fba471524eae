"""What a pickle would build, worked out from its opcodes without building it.

`pickletools.genops` yields the opcodes; this stack machine follows them with inert stand-ins: a global is
its name, a call is its name and arguments. Nothing is imported and nothing is called, whatever the pickle
asks for.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from detector.evidence.checkpoints.layout import Damaged

_OPCODES = 1_000_000
"""opcodes followed in one pickle: a state dict needs about 60 for each tensor"""


@dataclass(eq=False, slots=True)
class Name:
    """A global that the pickle refers to, as "module.attribute"."""

    text: str


@dataclass(eq=False, slots=True)
class Call:
    """A call or construction that the pickle asks for; `items` and `state` are what it would set on the
    result.
    """

    function: Any
    arguments: tuple[Any, ...] = ()
    items: dict[str | int, Any] = field(default_factory=dict)
    state: Any = None


@dataclass(eq=False, slots=True)
class Persistent:
    """A reference to something kept outside the pickle, such as torch's storages."""

    value: Any


_MARK: Any = Name("(mark)")
_CONTAINERS = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KEYS = (str, int)
_IGNORED = frozenset({"PROTO", "FRAME", "READONLY_BUFFER"})


class Machine:
    """The pickle machine over stand-ins. `run` reads one pickle; `names` gathers the globals it refers to."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: BinaryIO) -> Any:
        """What the next pickle of `stream` would build. Raises Damaged when it is none, or too long."""
        self._stack, self._memo = [], {}
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if count > _OPCODES:
                    raise Damaged(f"its pickle has more than {_OPCODES} opcodes")
                if opcode.name == "STOP":
                    return self._stack[-1]
                self._step(opcode.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise error if isinstance(error, Damaged) else Damaged("its pickle is not well formed") from None
        raise Damaged("its pickle has no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _IGNORED:
            return
        if name == "MARK":
            stack.append(_MARK)
        elif name in _CONTAINERS:
            stack.append(_CONTAINERS[name]())
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[int(argument)])
        elif name == "POP":
            stack.pop()
        elif name == "DUP":
            stack.append(stack[-1])
        elif not (self._group(name) or self._fill(name) or self._call(name, argument)):
            # what is left pushes its argument: numbers and strings of all kinds
            stack.append(argument)

    def _above_mark(self) -> list[Any]:
        """Take what lies above the topmost mark, and the mark."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError
        taken = self._stack[at + 1 :]
        del self._stack[at:]
        return taken

    def _group(self, name: str) -> bool:
        """Opcodes that make one value of all above the mark."""
        if name == "POP_MARK":
            self._above_mark()
        elif name == "TUPLE":
            self._stack.append(tuple(self._above_mark()))
        elif name in ("LIST", "FROZENSET"):
            self._stack.append(self._above_mark())
        elif name == "DICT":
            values = self._above_mark()
            self._stack.append({})
            self._set(zip(values[::2], values[1::2], strict=False))
        else:
            return False
        return True

    def _fill(self, name: str) -> bool:
        """Opcodes that put something into the container below."""
        if name == "APPEND":
            self._add([self._stack.pop()])
        elif name in ("APPENDS", "ADDITEMS"):
            self._add(self._above_mark())
        elif name == "SETITEM":
            value, key = self._stack.pop(), self._stack.pop()
            self._set([(key, value)])
        elif name == "SETITEMS":
            values = self._above_mark()
            self._set(zip(values[::2], values[1::2], strict=False))
        elif name == "BUILD":
            state = self._stack.pop()
            if isinstance(self._stack[-1], Call):
                self._stack[-1].state = state
        else:
            return False
        return True

    def _add(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)

    def _set(self, pairs: Any) -> None:
        target = self._stack[-1]
        items = target.items if isinstance(target, Call) else target
        for key, value in pairs:
            # others are no tensor names, and hashing a tuple nested 100,000 deep would exhaust the C stack
            if type(key) in _KEYS:
                items[key] = value

    def _call(self, name: str, argument: Any) -> bool:
        """Opcodes that would import or run something."""
        stack = self._stack
        if name == "GLOBAL":
            self._refer(*str(argument).split(" ", 1))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            self._refer(str(module)[:200], str(attribute)[:200])
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(_called(function, arguments))
        elif name == "NEWOBJ_EX":
            _, arguments, function = stack.pop(), stack.pop(), stack.pop()
            stack.append(_called(function, arguments))
        elif name == "OBJ":
            function, *arguments = self._above_mark()
            stack.append(_called(function, tuple(arguments)))
        elif name == "INST":
            arguments = self._above_mark()
            self._refer(*str(argument).split(" ", 1))
            stack.append(_called(stack.pop(), tuple(arguments)))
        elif name == "BINPERSID":
            stack.append(Persistent(stack.pop()))
        elif name == "PERSID":
            stack.append(Persistent(argument))
        else:
            return False
        return True

    def _refer(self, module: str, attribute: str = "") -> None:
        text = f"{module}.{attribute}"
        self.names.add(text)
        self._stack.append(Name(text))


def _called(function: Any, arguments: Any) -> Any:
    """A call as a stand-in; an ordered dict, the usual container of tensors, as a dict."""
    arguments = arguments if isinstance(arguments, tuple) else ()
    if isinstance(function, Name) and function.text == "collections.OrderedDict":
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {
            pair[0]: pair[1]
            for pair in pairs
            if isinstance(pair, (list, tuple)) and len(pair) == 2 and type(pair[0]) in _KEYS
        }
    return Call(function, arguments)

"""The JSON form of a report, both ways; keys are the fields of the dataclasses (docs/report-schema.md)."""

from __future__ import annotations

import hashlib
import json
import types
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from detector.errors import UncribError
from detector.report.model import LARGEST, SCHEMA, Report

EVIDENCE = ("a", "b", "findings", "renames", "graph", "events", "files")
"""The parts that the checksum covers: what was compared and what was found, not who drew or worded it."""
COUNTED_OF_A_SIDE = ("commit", "committed_at", "files", "units", "lines")
MOST: dict[object, float] = {int: 2.0**53, float: LARGEST}
"""the largest numbers that are read: what is larger counts nothing that a repository can hold"""
DEEPEST = 100
"""levels of the free-form objects (details, options) that are read"""
_SCALARS: dict[object, str] = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
_Path = tuple[str | int, ...]


def to_json(report: Report) -> str:
    """The report as JSON: the same report gives the same bytes, whatever the hash seed."""
    parts = {name: getattr(report, name) for name in ("schema", *_fields(Report))}
    members = [f"{_encoded(name)}: {_lines(part)}" for name, part in parts.items()]
    members.append(f'"checksum": {_encoded(checksum(report))}')
    return "{\n" + ",\n".join(members) + "\n}\n"


def from_json(text: str | bytes) -> Report:
    """Read back what `to_json` wrote. Raises UncribError that names the first place that is wrong."""
    value = _parsed(text)
    if value.get("schema") != SCHEMA:
        found = json.dumps(value.get("schema"))[:80]
        raise UncribError(
            f"this is not an Uncrib report of a known version: schema is {found}, not {SCHEMA!r}"
        )
    return cast(Report, _built(Report, {key: part for key, part in value.items() if key != "checksum"}, ()))


def checksum(report: Report) -> str:
    """SHA-256, in hexadecimal, of the evidence in canonical JSON (sorted keys, no white space).

    Two runs over the same commits with the same method give the same checksum; how sources were named
    (URL or folder) does not count.
    """
    evidence = {part: getattr(report, part) for part in EVIDENCE}
    for side in ("a", "b"):
        evidence[side] = {name: getattr(evidence[side], name) for name in COUNTED_OF_A_SIDE}
    return hashlib.sha256(_encoded(evidence, "sorted").encode()).hexdigest()


def recorded_checksum(text: str | bytes) -> str:
    """The checksum that a JSON report states about itself; UncribError where it states none."""
    stated = _parsed(text).get("checksum")
    if not isinstance(stated, str):
        raise UncribError("the report states no checksum, so it cannot be checked; compare again with --json")
    return stated


def _encoded(value: object, order: Literal["deterministic", "sorted"] = "deterministic") -> str:
    """JSON without white space; the keys of objects that have no fields of their own are sorted."""
    try:
        return msgspec.json.encode(value, order=order, enc_hook=_builtin).decode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair: UTF-8 has no place for it, an escape in ASCII has
        return json.dumps(value, default=asdict, sort_keys=order == "sorted", separators=(",", ":"))


def _builtin(value: object) -> object:
    """One of numpy's floats as a plain one."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"a report cannot hold {type(value).__name__}")


def _lines(part: object) -> str:
    """A part of the report, each item of a list on a line of its own: one finding, one line."""
    if not isinstance(part, tuple) or not part:
        return _encoded(part)
    return "[\n" + ",\n".join(map(_encoded, part)) + "\n]"


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise UncribError(f"the report is not readable JSON ({str(error)[:120]}); write it again") from None
    if not isinstance(value, dict):
        raise UncribError("the report is not a JSON object; give a file that uncrib compare --json wrote")
    return value


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _fields(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _shape(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(cls)
    return tuple(
        (item.name, hints[item.name], item.default is MISSING and item.default_factory is MISSING)
        for item in fields(cls)
    )


def _built(cls: type[Any], value: object, path: _Path) -> object:
    if not isinstance(value, dict):
        raise _wrong(path, "an object")
    shape = _shape(cast(Any, cls))
    known = {name for name, _, _ in shape}
    for key in value:
        if key not in known:
            raise UncribError(f"the report's {_place((*path, str(key)))} is unknown here; update uncrib")
    arguments = {}
    for name, kind, required in shape:
        if name in value:
            arguments[name] = _read(kind, value[name], (*path, name))
        elif required:
            raise UncribError(f"the report lacks {_place((*path, name))}; it was cut or edited")
    return cls(**arguments)


def _read(kind: Any, value: object, path: _Path) -> object:
    origin = get_origin(kind)
    if kind in _SCALARS:
        return _scalar(kind, value, path)
    if origin in (Union, types.UnionType):
        inner = [part for part in get_args(kind) if part is not type(None)]
        return None if value is None else _read(inner[0], value, path)
    if origin is Literal:
        if value not in get_args(kind):
            raise _wrong(path, "one of " + ", ".join(get_args(kind)))
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(path, "a list")
        return tuple(_read(get_args(kind)[0], item, (*path, index)) for index, item in enumerate(value))
    if is_dataclass(kind):
        return _built(cast(type[Any], kind), value, path)
    if not isinstance(value, dict):
        raise _wrong(path, "an object")
    if not _shallow(value, DEEPEST):
        raise _wrong(path, f"nested at most {DEEPEST} levels deep")
    return value


def _shallow(value: object, levels: int) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return levels > 0 and all(_shallow(item, levels - 1) for item in inner)
    return True


def _scalar(kind: type, value: object, path: _Path) -> object:
    if not isinstance(value, (int, float) if kind is float else kind):
        raise _wrong(path, _SCALARS[kind])
    if kind in (int, float) and (isinstance(value, bool) or not abs(cast(float, value)) <= MOST[kind]):
        raise _wrong(path, f"{_SCALARS[kind]} of at most {MOST[kind]:.0e}")
    if kind is float:
        return float(cast(float, value))
    return value


def _wrong(path: _Path, expected: str) -> UncribError:
    return UncribError(
        f"the report's {_place(path) or 'top level'} should be {expected}; it was cut or edited"
    )


def _place(path: _Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".")[:120]

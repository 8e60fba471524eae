"""Defaults from `[tool.uncrib]` of the nearest pyproject.toml, checked key by key.

Only options are read from there, never places to write to: who runs Uncrib inside a repository that he
does not trust must not have his files overwritten by its settings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from detector.errors import UncribError
from detector.options import Options
from detector.snapshot.model import Limits

FAIL_ON = ("strong", "any")
"""`fail-on`: exit status 1 from this on"""


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults for a run: options, and when to fail."""

    options: Options = Options()
    fail_on: str | None = None


def load(folder: Path) -> Settings:
    """Read the pyproject.toml of `folder` or of the nearest folder above that has one.

    Raises UncribError for an unreadable file, an unknown key or a value of the wrong type.
    """
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            return _settings(_table(path), str(path))
    return Settings()


def options_from(table: Mapping[str, Any], where: str) -> Options:
    """Options from plain data, keys with hyphens or underscores. `where` names the table in errors."""
    limits = table.get("limits", {})
    if not isinstance(limits, Mapping):
        raise UncribError(f"limits in {where} should be a table, such as limits = {{ seconds = 60 }}")
    given = _checked({key: value for key, value in table.items() if key != "limits"}, Options, where)
    return Options(**given, limits=Limits(**_checked(limits, Limits, f"limits of {where}")))


def _table(path: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415  only when there is a file to read
    else:
        import tomli as tomllib  # noqa: PLC0415

    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except (OSError, ValueError, RecursionError) as error:
        raise UncribError(f"{path} cannot be read as TOML ({error}); mend it or run elsewhere") from None
    table = tool.get("uncrib", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UncribError(f"tool.uncrib in {path} should be a table: [tool.uncrib]")
    return table


def _settings(table: Mapping[str, Any], path: str) -> Settings:
    where = f"[tool.uncrib] of {path}"
    rest = {key: value for key, value in table.items() if key not in ("fail-on", "fail_on")}
    fail_on = table.get("fail-on", table.get("fail_on"))
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UncribError(f"fail-on in {where} should be one of {', '.join(FAIL_ON)}")
    return Settings(options_from(rest, where), fail_on)


def _checked(table: Mapping[str, Any], target: type[Options] | type[Limits], where: str) -> dict[str, Any]:
    """The table's values under the field names of `target`, lists as tuples."""
    kinds = {field.name: str(field.type) for field in fields(target) if field.name != "limits"}
    given = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in kinds:
            known = ", ".join(sorted(kind.replace("_", "-") for kind in kinds))
            raise UncribError(f"{key!r} in {where} is no option; known are {known}")
        expected, fits = _EXPECTED[kinds[name]]
        if not fits(value):
            raise UncribError(f"{key} in {where} should be {expected}")
        given[name] = tuple(value) if isinstance(value, list) else value
    return given


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_EXPECTED: dict[str, tuple[str, Callable[[object], bool]]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "bool | None": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a number", _is_number),
    "tuple[str, ...]": (
        'a list of texts, such as ["code"]',
        lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    ),
}
"""by a field's annotation: what to say, and what to accept"""

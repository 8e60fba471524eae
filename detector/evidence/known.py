"""What many repositories hold without having taken it from each other: `known.toml`, read once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from detector.evidence.readers.tree import read_tree


@dataclass(frozen=True, slots=True)
class BaseTokenizer:
    """A public tokenizer that others build on; see `known.toml` for the meaning of the fields."""

    name: str
    size: int
    probes: Mapping[str, int]
    special: re.Pattern[str]
    template: str

    def is_base_of(self, vocabulary: Mapping[str, int]) -> bool:
        """Whether a vocabulary is this one, possibly with tokens added on top."""
        return 0.99 * self.size <= len(vocabulary) <= 1.1 * self.size + 1000 and all(
            vocabulary.get(token) == number for token, number in self.probes.items()
        )


@dataclass(frozen=True, slots=True)
class Service:
    """A model that runs elsewhere: modules whose import, or strings whose presence, shows its use."""

    name: str
    modules: tuple[str, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """All of `known.toml`."""

    tokenizers: tuple[BaseTokenizer, ...]
    common_special: re.Pattern[str]
    tool_keys: frozenset[str]
    services: tuple[Service, ...]
    constants: frozenset[str]
    prompts: tuple[str, ...]


@lru_cache(maxsize=1)
def known() -> Known:
    """The table, read on first use."""
    table: Any = read_tree("known.toml", (files("detector.evidence") / "known.toml").read_bytes())
    return Known(
        tokenizers=tuple(
            BaseTokenizer(
                entry["name"],
                entry["size"],
                entry["probes"],
                _any_of(entry["special"]),
                entry.get("template", ""),
            )
            for entry in table["tokenizer"]
        ),
        common_special=_any_of(table["common"]["special"]),
        tool_keys=frozenset(key for tool in table["tool"] for key in tool["keys"]),
        services=tuple(
            Service(entry["name"], tuple(entry["modules"]), tuple(entry["marks"]))
            for entry in table["service"]
        ),
        constants=frozenset(table["numbers"]["famous"]),
        prompts=tuple(table["prompts"]["famous"]),
    )


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))

"""The background: what public machine-learning code commonly holds, opened from one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.background.archive import Archive, open_archive
from detector.background.commons import Commons
from detector.background.rarity import KINDS, Kind
from detector.background.table import Table
from detector.errors import UncribError


@dataclass(frozen=True, slots=True)
class Background:
    """An opened background. Worker processes may be handed one: they open the same file and share it."""

    path: Path
    name: str
    version: str
    """date and digest of the build, as the report states them"""
    functions: int
    """distinct functions that were counted"""
    families: int
    packages: tuple[str, ...]
    """`name==version` of each package that was counted"""
    terms: Table
    words: Mapping[Kind, Table]
    commons: Commons

    @classmethod
    def open(cls, path: Path | None = None) -> Background:
        """Open a background, by default the one that ships with Uncrib; a file is opened once.

        Raises UncribError if the file is missing, damaged, or not a background of this format.
        """
        return _opened(path or shipped())

    def bits(self, hashes: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Bits of each term, in the order given."""
        return self.terms.bits(hashes)

    def __reduce__(self) -> tuple[Callable[[Path], Background], tuple[Path]]:
        return _opened, (self.path,)


def shipped() -> Path:
    """Where the background that ships with Uncrib lies."""
    return Path(str(files("detector.background") / "background.bin"))


@lru_cache(maxsize=4)
def _opened(path: Path) -> Background:
    archive = open_archive(path)
    about = archive.about
    try:
        terms = _table(archive, "term")
        return Background(
            path=path,
            name=about["name"],
            version=about["version"],
            functions=about["functions"],
            families=about["families"],
            packages=tuple(about["packages"]),
            terms=terms,
            words={kind: _table(archive, kind) for kind in KINDS},
            commons=Commons.of(archive, terms),
        )
    except KeyError as error:
        raise UncribError(
            f"the background {path} has no {error}; build it again with `uncrib background build`"
        ) from error


def _table(archive: Archive, kind: str) -> Table:
    return Table(
        archive.arrays[f"{kind}.keys"], archive.arrays[f"{kind}.steps"], archive.about["unknown"][kind]
    )

"""What holds for every test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads what another, or the user, left in the cache."""
    monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))

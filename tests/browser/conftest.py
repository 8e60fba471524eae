"""A real Chromium for the tests of the HTML report; without one they are skipped with the reason."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.opening import OpenPage
from detector.report.pdf import browser as installed_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

sys.path.insert(0, str(Path(__file__).parent.parent))

FLAGS = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update", "--disable-sync"),
    "--disable-background-networking",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One headless browser for all tests."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: make test", exc_type=ImportError
    )
    path = installed_browser()
    if path is None:
        pytest.skip("no Chromium is installed: make browser")
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with playwright.sync_playwright() as started:
        flags = [*FLAGS, "--no-sandbox"] if as_root else FLAGS
        running = started.chromium.launch(executable_path=path, args=flags)
        yield running
        running.close()


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens HTML from disk; at the end nothing may have been said on the console, and nothing requested."""
    said: list[str] = []
    asked: list[str] = []
    context: list[BrowserContext] = []

    def noted(notes: list[str], text: str, allowed: str) -> None:
        if not (allowed and re.search(allowed, text)):
            notes.append(text)

    def opened(html: str, *, fragment: str = "", allowed: str = "", **settings: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        settings = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **settings}
        context.append(chromium.new_context(**settings))
        page = context[-1].new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda message: noted(said, message.text, allowed))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: noted(asked, request.url, allowed))
        page.goto(file.as_uri() + fragment)
        if settings.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for item in context:
        item.close()
    assert said == []
    assert [url for url in asked if not url.startswith((tmp_path.as_uri(), "data:", "about:"))] == []

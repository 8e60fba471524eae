"""What the tests of the HTML report are handed to open pages with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OpenPage = Callable[..., Any]
"""(html, fragment="", allowed="", **settings of the browser context) -> the opened page"""

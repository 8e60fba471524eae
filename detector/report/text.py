"""Repository text made fit to show: what would act on a reader's screen unseen is spelled out instead."""

from __future__ import annotations

import re
import unicodedata

# C0 and C1 controls but tab and newline, bidirectional controls (Boucher and Anderson 2021, "Trojan Source"),
# zero-width characters, line separators, the byte-order mark, tag characters and lone surrogates
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
LONGEST_LINE = 2000
"""characters of one line that are shown"""
_LONG_LINE = re.compile(rf"[^\n]{{{LONGEST_LINE + 1},}}")


def visible(text: str) -> str:
    """The text with control, zero-width and direction characters written as `⟨U+202E⟩`."""
    return _UNSEEN.sub(_spelled, text)


def shown(text: str) -> str:
    """Source text for a reader: `visible`, with `\\n` line ends, and very long lines cut with a note."""
    return _LONG_LINE.sub(_shortened, visible(text.replace("\r\n", "\n")))


def _spelled(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def _shortened(match: re.Match[str]) -> str:
    rest = len(match[0]) - LONGEST_LINE
    return f"{match[0][:LONGEST_LINE]} … ({rest:,} more characters)"


def one_line(text: str, limit: int = 200) -> str:
    """The text on one line, visible, at most `limit` characters."""
    flat = visible(re.sub(r"\s+", " ", text[: limit * 4]).strip())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def width(text: str) -> int:
    """Columns that the text takes in a terminal or an SVG label of fixed-width letters."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)

"""docs/accuracy.md: a benchmark writes the section between its two comments and leaves the rest alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path("docs/accuracy.md")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a head that ends with ":" makes its column right-aligned."""
    lines = [
        "| " + " | ".join(head.rstrip(":") for head in heads) + " |",
        "|" + "|".join("---:" if head.endswith(":") else "---" for head in heads) + "|",
    ]
    for row in rows:
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """A part of a whole in percent, for example `98.7 %`; a dash where there is nothing to count."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put `text` between `<!-- name -->` and `<!-- /name -->` of the page, and print it."""
    print(text)
    written = page.read_text(encoding="utf-8")
    section = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not section.search(written):
        raise SystemExit(f"{page} has no comments <!-- {name} --> and <!-- /{name} --> to write between")
    page.write_text(
        section.sub(lambda found: f"{found[1]}{text.strip()}\n{found[2]}", written), encoding="utf-8"
    )

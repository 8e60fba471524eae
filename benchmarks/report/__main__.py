"""Render and open reports of many findings: `python -m benchmarks.report` prints the table of docs/report.md.

The code is the standard library's own: each function beside itself under new names. Opening is timed in an
installed Chromium, from the start of loading until the page has unpacked its findings and drawn the first.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from detector.evidence.finding import Finding
from detector.report.html import to_html
from detector.report.model import Excerpt, Report
from detector.report.pdf import browser

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from report_factory import assembled, code_findings  # noqa: E402

SIZES = ((300, 10_000), (1_000, 40_000), (5_000, 200_000))
"""(findings, lines of code on both sides together)"""
OPENINGS = 5


def report_of(findings: int, lines: int) -> Report:
    """A report of that many findings over at most that many lines of the standard library."""
    chosen: list[tuple[Finding, Excerpt, Excerpt]] = []
    left = lines
    for source in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in source.parts or left <= 0 or len(chosen) >= findings:
            continue
        for item in _found(source):
            if item[0].a[0].end_line - item[0].a[0].start_line < lines / findings / 8:
                continue
            left -= 2 * (item[0].a[0].end_line - item[0].a[0].start_line + 1)
            chosen.append(item)
    return assembled(chosen[:findings], ())


def _found(source: Path) -> list[tuple[Finding, Excerpt, Excerpt]]:
    try:
        return list(
            code_findings(
                {str(source.relative_to(sysconfig.get_path("stdlib"))): source.read_text(encoding="utf-8")}
            )
        )
    except (SyntaxError, UnicodeDecodeError, RecursionError):
        return []


def opening_seconds(html: str) -> list[float]:
    """Seconds to open the page, several times, each in a new context."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        page_file = Path(folder) / "report.html"
        page_file.write_text(html, encoding="utf-8")
        running = started.chromium.launch(executable_path=browser(), args=["--disable-gpu", *flags])
        times = []
        for _ in range(OPENINGS):
            page = running.new_page()
            page.goto(page_file.as_uri())
            page.wait_for_selector("html[data-ready]")
            times.append(float(page.evaluate("performance.getEntriesByName('ready')[0].startTime")) / 1000)
            page.close()
        running.close()
    return times


def main() -> None:
    """Print the table."""
    print("| findings | lines of code | gzip of the code | file | limit | render | open (median) |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for findings, lines in SIZES:
        report = report_of(findings, lines)
        begun = time.perf_counter()
        html = to_html(report)
        rendered = time.perf_counter() - begun
        code = gzip.compress("\n".join(excerpt.text for excerpt in report.excerpts).encode())
        shown = sum(excerpt.text.count("\n") + 1 for excerpt in report.excerpts)
        size, limit = len(html.encode()), 1.5 * len(code) + 500_000
        opened = f"{statistics.median(opening_seconds(html)):.2f} s" if browser() else "no Chromium"
        print(
            f"| {len(report.findings):,} | {shown:,} | {len(code) / 1e6:.2f} MB | {size / 1e6:.2f} MB "
            f"| {limit / 1e6:.2f} MB | {rendered:.2f} s | {opened} |"
        )


if __name__ == "__main__":
    main()

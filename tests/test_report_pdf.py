"""PDF through an installed browser, or one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_factory import assembled, evidence_findings

from detector.errors import UncribError
from detector.report.html import to_html
from detector.report.pdf import browser, to_pdf


def test_without_a_browser_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    if browser() is not None:
        pytest.skip("a browser is installed at a fixed place of this system")
    with pytest.raises(UncribError, match="no Chromium, Chrome or Edge is installed") as caught:
        to_pdf("<p>", tmp_path / "x.pdf")
    assert "\n" not in str(caught.value)


def test_a_browser_that_prints_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    with pytest.raises(UncribError, match="printed no PDF"):
        to_pdf("<p>", tmp_path / "x.pdf")
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(UncribError, match="could not print"):
        to_pdf("<p>", tmp_path / "x.pdf")


@pytest.mark.skipif(browser() is None, reason="no Chromium is installed: make browser")
def test_the_report_prints_with_its_findings(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    to_pdf(to_html(assembled([], evidence_findings())), tmp_path / "report.pdf")
    pages = [page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages]
    text = " ".join(" ".join(pages).split())
    assert "Very strong evidence of common origin" in text
    assert '"vpm.": "vison."' in text
    assert f"Page 1 of {len(pages)}" in pages[0]

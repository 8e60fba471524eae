"""Whatever a repository holds is text: it never runs, never loads, and never hides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report_factory import typical

from browser.opening import OpenPage
from detector.evidence.finding import Aligned, Event, Reason, Rename, Site, Span
from detector.report.html import to_html
from detector.report.model import Excerpt, FileExtent, Report
from detector.snapshot.model import Notice

HOSTILE = [
    "</script><script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 1'>",
    '" onmouseover="window.harmed = 1" x="',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.harmed=1",
    "<!--<script>",
    "'; window.harmed = 1; '",
    "&lt;b&gt;",
    "$& $` ${window.harmed = 1}",
    "__proto__",
]


def _hostile(text: str) -> Report:
    """A report in which this text stands wherever a repository's text can stand."""
    report = typical()
    finding = replace(
        report.findings[0],
        kind="code",
        title=text,
        a=(Span(f"{text}.py", text, 1, 3),),
        b=(Span(f"b{text}.py", text, 1, 3),),
        lines=(Aligned(1, 1, 1, 1, 1.0),),
        renames=(Rename("variable", text, text + "2", 1),),
        reasons=(Reason(text, 2.0),),
        details={text: text, "pairs": [[text, text, text]], "tokens": [text], "renaming": {text: text}},
    )
    apart = replace(finding, id="apart", explained_by=(text,))
    code = f"# {text}\nvalue = '''{text}'''\n{text}"
    return replace(
        report,
        a=replace(report.a, label=text, source=text, commit=text, web="javascript:window.harmed=1//{path}"),
        b=replace(report.b, label=text, source=text, web='https://x.example/"><script>/blob/{commit}/{path}'),
        summary=replace(report.summary, sentence=text, rests_on=(text,), would_change=(text,)),
        findings=(finding, apart),
        renames=(Rename(text, text, text, 1, 0, (Site(f"{text}.py", 1, f"b{text}.py", 1),)),),
        events=(Event("2024-05-27T17:30:32Z", "a", text, text), Event(text, "b", text, text)),
        warnings=(Notice(text, text, "a"),),
        excerpts=(Excerpt("a", f"{text}.py", text, 1, code), Excerpt("b", f"b{text}.py", text, 1, code)),
        files=(FileExtent("a", f"{text}.py", text, 3, 3), FileExtent("b", f"b{text}.py", text, 3, 3)),
        tool=replace(report.tool, background=text, options={text: text}),
    )


def _read(page: Any) -> str:
    page.get_by_role("button", name="Open all listed").click()
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    page.wait_for_timeout(50)
    return str(page.evaluate("document.body.innerText"))


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_and_script_show_as_text(text: str, open_page: OpenPage) -> None:
    page = open_page(to_html(_hostile(text)))
    shown = _read(page)
    assert shown.count(text) > 10
    assert page.evaluate("window.harmed") is None
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("img, iframe, object, embed").count() == 0
    links = page.evaluate("[...document.querySelectorAll('a')].map(link => link.href)")
    assert all(link.startswith(("https://x.example/", "file:")) for link in links)


@pytest.mark.parametrize(
    ("unseen", "name"),
    [
        ("\u202e", "202E"),
        ("\x00", "0000"),
        ("\x1b", "001B"),
        ("\u200b", "200B"),
        ("\u2066", "2066"),
        ("\ud800", "D800"),
        ("\ufeff", "FEFF"),
    ],
)
def test_what_acts_unseen_is_spelled_out(unseen: str, name: str, open_page: OpenPage) -> None:
    html = to_html(_hostile(f"user{unseen}nimda"))
    assert unseen not in html
    shown = _read(open_page(html))
    assert shown.count(f"user⟨U+{name}⟩nimda") > 10


def test_a_line_of_a_megabyte_is_cut_with_a_note(open_page: OpenPage) -> None:
    html = to_html(_hostile("x" * 2**20))
    assert len(html) < 2_000_000
    report = typical()
    finding = next(item for item in report.findings if item.kind == "code")
    span = finding.a[0]
    lines = "\n".join(["x" * 2**20] * (span.end_line - span.start_line + 1))
    page = open_page(
        to_html(
            replace(
                report, findings=(finding,), excerpts=(Excerpt("a", span.path, "", span.start_line, lines),)
            )
        )
    )
    page.get_by_role("button", name="Open all listed").click()
    first = page.locator(".line .t").first.inner_text()
    assert first.startswith("xxx")
    assert "(1,046,576 more characters)" in first
    assert len(first) < 3000


def test_details_of_any_depth_and_size_stay_usable(open_page: OpenPage) -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"down": deep}
    report = typical()
    finding = replace(
        report.findings[0],
        details={"deep": deep, "tokens": ["t" * 5000] * 30_000, "odd": [[1], {"a": [None]}]},
    )
    page = open_page(to_html(replace(report, findings=(finding,), classes=())))
    page.get_by_role("button", name="Open all listed").click()
    page.locator(".tokens li").last.wait_for(state="attached")
    assert page.locator(".tokens li").count() == 120
    page.locator(".body summary").first.click()
    page.locator(".body details details").first.wait_for(state="attached")

"""The HTML report as a reader meets it: opened from disk in a real browser."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from report_factory import assembled, code_findings, sources_of, typical

from browser.opening import OpenPage
from detector.evidence.finding import Aligned, Span
from detector.report.html import to_html
from detector.report.model import Excerpt, Report


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(typical())


def _titles(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#list .title").all_inner_texts()]


def _bits(page: Any) -> list[int]:
    return [int(re.sub(r"\D", "", text)) for text in page.locator("#list .bits").all_inner_texts()]


def _open(page: Any, title: str) -> Any:
    row = page.locator("article.finding", has_text=title).first
    row.get_by_role("button", expanded=False).first.click()
    return row


def test_the_overview_shows_verdict_dossier_pictures_and_timeline(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    assert page.locator(".scale [aria-current]").inner_text() == "very strong"
    assert page.locator(".dossier tbody tr").count() == len(typical().classes)
    assert page.locator("svg.repositories .ribbon").count() >= 9
    assert page.locator("svg.plot .dot").count() > 50
    assert page.locator("svg.plot .hill").count() == 1
    assert page.locator("svg.timeline .mark").count() == 4


def test_the_dossier_leads_to_its_strongest_finding(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    page.locator(".dossier a").first.click()
    row = page.locator("article.finding:target")
    assert row.get_by_role("button").first.get_attribute("aria-expanded") == "true"
    assert row.locator(".sides").is_visible()


def test_a_finding_opens_by_its_permanent_address_even_far_down(open_page: OpenPage) -> None:
    report = assembled(list(code_findings(sources_of(argparse, inspect), copies=3)), ())
    last = report.findings[-1]
    page = open_page(to_html(report), fragment=f"#f-{last.id}")
    row = page.locator(f"[id='f-{last.id}']")
    assert row.locator(".sides").is_visible()
    assert row.evaluate("row => row.getBoundingClientRect().top") < 900


def test_findings_can_be_ordered(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    page.get_by_label("Group by").select_option("none")
    counting = len(typical().findings) - 3
    bits = _bits(page)[:counting]
    assert bits == sorted(bits, reverse=True)
    page.get_by_label("Order by").select_option("title")
    titles = _titles(page)[:counting]
    assert titles == page.evaluate("titles => [...titles].sort((a, b) => a.localeCompare(b))", titles)
    assert titles != _titles(open_page(html))[:counting]


@pytest.mark.parametrize(
    ("label", "option", "kept"),
    [
        ("Evidence", "weights", lambda finding: finding.kind == "weights"),
        ("Strength", "4", lambda finding: finding.strength == "very strong"),
        ("File", "src/textwrap.py", lambda finding: finding.a[0].path == "src/textwrap.py"),
        ("Transformation", "identical", lambda finding: "identical" in finding.transformations),
    ],
)
def test_findings_can_be_filtered(html: str, open_page: OpenPage, label: str, option: str, kept: Any) -> None:
    page = open_page(html)
    page.get_by_label(label, exact=True).select_option(option)
    expected = sorted(finding.title for finding in typical().findings if kept(finding))
    assert sorted(_titles(page)) == expected
    assert page.locator("#count").inner_text().startswith(f"{len(expected)} of {len(typical().findings)}")


def test_text_finds_names_of_either_side(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    page.get_by_label("Find in names").fill("c_sknuhc")
    assert _titles(page)
    assert all("chunk" in title or "TextWrapper" in title for title in _titles(page))
    page.get_by_label("Find in names").fill("no such thing at all")
    assert _titles(page) == []


def test_findings_stand_in_groups_and_explained_ones_apart(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    headings = page.locator("#list h3.group").all_inner_texts()
    assert any(text.startswith("src/random.py and work/random.py") for text in headings)
    assert headings[-1].startswith("Set apart: also in torchvision, mmcv")
    page.get_by_label("Group by").select_option("class")
    headings = page.locator("#list h3.group").all_inner_texts()
    assert any(text.startswith("TextWrapper and TextWrapper") for text in headings)


def test_pointing_at_a_name_shows_its_partner_on_both_sides(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    row = _open(page, "TextWrapper._wrap_chunks")
    row.locator(".v", has_text=re.compile("^chunks$")).first.hover()
    assert (
        row.locator(".partner")
        .inner_text()
        .startswith("chunks in A is c_sknuhc in B (variable, 4 sites agree")
    )
    lit = set(row.locator(".v.on").all_inner_texts())
    assert lit == {"chunks", "c_sknuhc"}
    colours = {
        word: row.locator(".v", has_text=re.compile(f"^{word}$")).first.get_attribute("class") for word in lit
    }
    assert colours["chunks"] == colours["c_sknuhc"]


def test_the_normal_form_makes_both_sides_spell_alike(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    row = _open(page, "TextWrapper._wrap_chunks")
    code = row.locator(".rows")
    assert "c_sknuhc" in code.nth(1).inner_text()
    row.get_by_label("normal form").check()
    spelled = [re.sub(r"\s", "", _code(row, side)) for side in (0, 1)]
    assert "c_sknuhc.reverse" not in spelled[1]
    assert _tail(spelled[0]) == _tail(spelled[1])
    row.get_by_label("original text").check()
    assert "c_sknuhc.reverse" in code.nth(1).inner_text()


def _code(row: Any, side: int) -> str:
    return "\n".join(row.locator(".rows").nth(side).locator(".line .t").all_inner_texts())


def _tail(code: str) -> str:
    """The code after the docstring, whose words are no names."""
    return code.rpartition('"""')[2]


def test_only_differences_folds_what_is_alike(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    row = _open(page, "TextWrapper._wrap_chunks")
    before = row.locator(".line:visible").count()
    row.get_by_label("only differences").check()
    assert 0 < row.locator(".line:visible").count() < before
    assert "alike" in row.locator(".gap:visible").first.inner_text()


def _moved() -> Report:
    """A finding whose statements stand in another order on the other side, and in two places."""
    report = typical()
    finding = replace(
        report.findings[0],
        kind="code",
        a=(Span("a.py", "whole", 1, 4),),
        b=(Span("b.py", "first", 1, 2), Span("b.py", "second", 9, 9)),
        lines=(Aligned(1, 1, 2, 2, 5.0), Aligned(3, 3, 1, 1, 5.0), Aligned(4, 4, 9, 9, 5.0, b=1)),
        details={},
    )
    excerpts = (
        Excerpt("a", "a.py", "", 1, "x = 1\n\ny = 2\nz = 3"),
        Excerpt("b", "b.py", "", 1, "q = 2\np = 1"),
        Excerpt("b", "b.py", "", 9, "r = 3"),
    )
    return replace(report, findings=(finding,), excerpts=excerpts)


def test_reordered_and_split_statements_stay_connected(open_page: OpenPage) -> None:
    page = open_page(to_html(_moved()))
    row = _open(page, "tokenizer.json")
    page.wait_for_function("document.querySelectorAll('.link').length === 3")
    tops = row.evaluate(
        """row => [...row.querySelectorAll('.link')].map(link => {
             const [, a, b] = link.getAttribute('d').match(/M0 (\\S+)C\\S+ \\S+ \\S+ (\\S+)/);
             return [Number(a), Number(b)]; })"""
    )
    (a1, b1), (a2, b2), (a3, b3) = tops
    assert a1 < a2 < a3
    assert b2 < b1 < b3
    row.locator(".pane").first.locator(".line", has_text="x = 1").hover()
    assert row.locator(".line.on .t").all_inner_texts() == ["x = 1", "p = 1"]


def test_line_numbers_link_to_the_exact_commit_on_both_hosts(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    row = _open(page, "TextWrapper._wrap_chunks")
    report = typical()
    links = [item.get_attribute("href") for item in row.locator(".place a").all()]
    assert links[0].startswith(
        f"https://github.com/example/original/blob/{report.a.commit}/src/textwrap.py#L"
    )
    assert links[1].startswith(
        f"https://huggingface.co/example/copy/blob/{report.b.commit}/work/textwrap.py#L"
    )
    assert row.locator("a.n").first.get_attribute("href").startswith("https://github.com/")


def test_each_kind_of_evidence_has_its_view(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    config = _open(page, "config.json: 31 of 33")
    assert "patch_size" in config.locator(".tree .tree, .tree ul").first.inner_text()
    tokenizer = _open(page, "256 added tokens")
    assert tokenizer.locator(".tokens li").count() == 120
    tokenizer.get_by_placeholder("Find in 253").fill("<slice>")
    assert tokenizer.locator(".tokens li").all_inner_texts() == ["<slice>"]
    weights = _open(page, "741 of 741")
    assert '"vpm.": "vison.",' in weights.locator(".renaming").inner_text()
    assert weights.locator(".histogram rect").count() == 9
    behaviour = _open(page, "the same wrong answer")
    assert behaviour.get_by_role("columnheader").all_inner_texts() == ["Question", "A", "B", "Right"]


def test_the_rename_map_can_be_searched_and_tells_its_sites(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    page.get_by_label("Find a name").fill("c_sknuhc")
    rows = page.locator("#rename-list tbody tr")
    assert rows.count() == 1
    rows.get_by_text("1 site").click()
    assert "src/textwrap.py:" in rows.locator("li").inner_text()


def test_everything_works_from_the_keyboard(html: str, open_page: OpenPage) -> None:
    page = open_page(html)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    page.locator("#list article button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#list article button").first.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Space")
    assert page.locator("#list article button").first.get_attribute("aria-expanded") == "false"
    row = _open(page, "TextWrapper._wrap_chunks")
    row.locator(".names button", has_text="chunks").first.focus()
    assert row.locator(".partner").inner_text().startswith("chunks in A is")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(html: str, open_page: OpenPage, scheme: str, width: int) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed: make test"
    )
    page = open_page(html, color_scheme=scheme, viewport={"width": width, "height": 800})
    for title in (
        "TextWrapper._wrap_chunks",
        "741 of 741",
        "256 added tokens",
        "config.json: 31",
        "same wrong answer",
    ):
        _open(page, title)
    page.locator("summary").first.click()
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = axe.Axe().run(
        page, options={"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
    )
    broken = [(item["id"], item["nodes"][0]["html"][:200]) for item in found.response["violations"]]
    assert broken == []


@pytest.mark.parametrize("width", [320, 700, 1280])
def test_the_page_never_scrolls_sideways(html: str, open_page: OpenPage, width: int) -> None:
    page = open_page(html, viewport={"width": width, "height": 800})
    _open(page, "TextWrapper._wrap_chunks")
    _open(page, "741 of 741")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_theme_follows_the_system_until_the_reader_chooses(html: str, open_page: OpenPage) -> None:
    page = open_page(html, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(paper) == dark


def test_paper_shows_every_listed_finding_open_with_page_numbers(html: str, open_page: OpenPage) -> None:
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: make test")
    page = open_page(html)
    page.get_by_label("File", exact=True).select_option("src/textwrap.py")
    pdf = pypdf.PdfReader(BytesIO(page.pdf(prefer_css_page_size=True)))
    pages = [sheet.extract_text() for sheet in pdf.pages]
    text = " ".join(" ".join(pages).split())
    for finding in typical().findings:
        if finding.a[0].path == "src/textwrap.py":
            assert f"src/textwrap.py:{finding.a[0].start_line}-{finding.a[0].end_line}" in text
    assert "Why this counts" in text
    assert f"Page 2 of {len(pages)}" in pages[1]
    assert "Open all listed" not in text
    assert page.locator(".body:visible").count() == 0


def test_without_scripts_the_verdict_and_the_strongest_findings_are_there(
    html: str, open_page: OpenPage
) -> None:
    page = open_page(html, java_script_enabled=False)
    assert page.locator("article.finding").count() == 10
    assert "def " in page.locator("article.finding pre").first.inner_text()
    assert page.get_by_role("button", name="Theme").count() == 0


def test_the_policy_lets_nothing_else_run_or_load(html: str, open_page: OpenPage) -> None:
    page = open_page(html, allowed="Content Security Policy|example.invalid")
    blocked = page.evaluate(
        """() => new Promise(resolve => {
             const seen = [];
             document.addEventListener('securitypolicyviolation', event => {
               seen.push(event.effectiveDirective); if (seen.length === 3) resolve(seen); });
             const script = document.createElement('script');
             script.textContent = 'window.harmed = true';
             const picture = document.createElement('img');
             picture.src = 'https://example.invalid/x.png';
             const box = document.createElement('div');
             box.innerHTML = '<p style="color: red">x</p>';
             document.body.append(script, picture, box);
             setTimeout(() => resolve(seen), 3000); })"""
    )
    assert {item.removesuffix("-elem").removesuffix("-attr") for item in blocked} == {
        "script-src",
        "img-src",
        "style-src",
    }
    assert page.evaluate("window.harmed") is None


def test_an_empty_report_says_so(open_page: OpenPage) -> None:
    empty = replace(typical(), findings=(), renames=(), classes=(), events=(), files=(), excerpts=())
    page = open_page(to_html(empty))
    assert "No finding." in page.locator("#findings").inner_text()
    assert json.loads(page.evaluate("JSON.stringify(data.findings)")) == []

"""The HTML report without a browser: its policy, its packing, its pictures, and the words of numbers."""

from __future__ import annotations

import argparse
import base64
import hashlib
import inspect
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from report_factory import assembled, code_findings, evidence_findings, sources_of, typical

from detector.evidence.finding import Event
from detector.report import wording
from detector.report.html import to_html
from detector.report.payload import packed, payload
from detector.report.picture import HEIGHT, MOST_BLOCKS, picture
from detector.report.plot import plot
from detector.report.text import LONGEST_LINE, one_line, shown, visible
from detector.report.timeline import timeline


def test_the_policy_knows_exactly_the_style_and_the_script_of_the_page() -> None:
    html = to_html(typical())
    [style] = re.findall(r"<style>(.*?)</style>", html, re.S)
    [script] = re.findall(r"<script>(.*?)</script>", html, re.S)
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)"', html)
    for part in (style, script):
        assert base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src &#39;none&#39;")


def test_the_same_report_gives_the_same_page() -> None:
    assert to_html(typical()) == to_html(typical())


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_has_no_inline_handlers_no_styles_and_loads_nothing() -> None:
    parser = _Attributes()
    parser.feed(to_html(typical()))
    assert not [name for name in parser.names if name.startswith("on") or name in ("style", "src")]
    assert all(
        address.startswith(("#", "https://github.com/", "https://huggingface.co/"))
        for address in parser.addresses
    )


def test_the_payload_unpacks_to_the_findings_and_their_code() -> None:
    report = typical()
    text = packed(report)
    assert not set(text) & set("<\"'")
    raw = base64.b85decode(text.replace("/", "<"))
    head, *texts = zlib.decompress(raw[4 : 4 + int.from_bytes(raw[:4], "big")], 31).decode().split("\0")
    plain, expected = payload(report)
    assert json.loads(head) == json.loads(json.dumps(plain))
    assert texts == expected
    assert sorted(texts) == sorted(excerpt.text for excerpt in report.excerpts)
    assert [item["id"] for item in json.loads(head)["findings"]] == [
        finding.id for finding in report.findings
    ]


def test_a_web_address_that_is_no_web_address_is_dropped() -> None:
    report = typical()
    report = replace(report, a=replace(report.a, web="javascript:alert(1)//{path}"))
    assert "javascript:" not in to_html(report)
    assert wording.permalink(report.a, "x.py", 1, 2) is None


def test_permanent_links_quote_the_path() -> None:
    link = wording.permalink(typical().b, "a b/#?.py", 3, 5)
    assert link is not None
    assert link.endswith("/blob/faede36e66128d1998dfcdda08161cda995355fa/a%20b/%23%3F.py#L3-L5")


def test_blocks_fill_a_column_and_the_unmatched_rest_is_one_block() -> None:
    report = assembled(list(code_findings(sources_of(argparse, inspect), copies=20)), ())
    drawn = picture(report)
    for column in (drawn.a, drawn.b):
        assert len(column) == MOST_BLOCKS + 1
        assert column[-1].label.endswith("more files")
        assert all(one.y + one.height <= two.y for one, two in pairwise(column))
        assert drawn.height == pytest.approx(HEIGHT, abs=20)
    assert all(0 <= block.matched <= 1 for block in drawn.a)


def test_ribbons_grow_with_bits_and_tell_what_is_set_apart() -> None:
    drawn = picture(typical())
    strokes = [ribbon.stroke for ribbon in sorted(drawn.ribbons, key=lambda ribbon: ribbon.bits)]
    assert strokes == sorted(strokes)
    assert any(ribbon.explained for ribbon in drawn.ribbons)
    assert drawn.pairs[0].bits == max(pair.bits for pair in drawn.pairs)


def test_the_hill_of_chance_is_the_law_behind_the_e_values() -> None:
    drawn = plot(typical())
    assert drawn is not None and drawn.chance is not None
    # the factory's law is E = 2 ** -(bits - 20): E is 1 at 20 bits, and 0.01 log2(100) bits above
    assert drawn.chance.one_bits == pytest.approx(20.0)
    assert drawn.chance.hundredth_bits == pytest.approx(26.64, abs=0.01)


def test_no_hill_is_drawn_where_no_finding_has_an_e_value() -> None:
    drawn = plot(assembled([], evidence_findings()))
    assert drawn is not None and drawn.chance is None
    assert plot(assembled([], ())) is None


def test_events_stand_in_order_of_time_on_their_own_sides() -> None:
    events = (
        *typical().events,
        Event("not a date", "a", "", "lost"),
        Event("2024-05-21", "b", "", "day only"),
    )
    drawn = timeline(replace(typical(), events=events))
    assert drawn is not None
    assert [mark.event.text for mark in drawn.marks][:2] == ["first commit", "day only"]
    xs = [mark.x for mark in drawn.marks]
    assert xs == sorted(xs)
    assert all((mark.label_y < drawn.axis) == (mark.event.side == "a") for mark in drawn.marks)
    assert timeline(replace(typical(), events=())) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "< 10⁻³⁰⁰"),
        (3.2e-12, "3·10⁻¹²"),
        (9.7e-5, "10⁻⁴"),
        (0.012, "0.012"),
        (7.0, "7"),
        (1e6, "1,000,000"),
    ],
)
def test_e_values_in_words(value: float | None, text: str) -> None:
    assert wording.e_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0%"), (0.004, "< 1%"), (0.5, "50%"), (0.996, "> 99%"), (1.0, "100%")]
)
def test_shares_never_round_to_nothing_or_all(value: float, text: str) -> None:
    assert wording.share(value) == text


def test_unseen_characters_are_spelled_out_and_tabs_and_newlines_kept() -> None:
    assert visible("a\tb\nc") == "a\tb\nc"
    assert visible("a\u202eb\x00\ufeff") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+FEFF⟩"
    assert visible("ä 日本 🙂") == "ä 日本 🙂"
    assert shown("a\r\nb") == "a\nb"
    assert len(shown("x" * 10**6)) < LONGEST_LINE + 60
    assert one_line("a\n  b " + "c" * 500, 20) == f"a b {'c' * 15}…"

"""A finding in the terminal: both sides opposite each other, whatever was moved."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from report_factory import typical
from rich.console import Console

from detector.errors import UncribError
from detector.evidence.finding import Aligned, Span
from detector.report.model import Excerpt, Report
from detector.report.side_by_side import opposite, show


def _printed(report: Report, finding_id: str | None, **settings: bool) -> str:
    out = io.StringIO()
    show(report, finding_id, Console(file=out, width=160, **settings))  # type: ignore[arg-type]
    return out.getvalue()


def test_corresponding_lines_stand_in_one_row() -> None:
    report = typical()
    finding = next(item for item in report.findings if item.a[0].name == "fsum" or item.a[0].name == "_sum")
    text = _printed(report, finding.id)
    row = next(line for line in text.splitlines() if "def _sum(" in line)
    assert row.count("def _sum(") == 2
    assert "data" in row and "d_atad" in row
    assert f"[{finding.id}]" in text
    assert "data → d_atad" in text
    assert f"{report.a.commit}/src/statistics.py#L{finding.a[0].start_line}" in text


def test_colours_only_where_the_console_has_them() -> None:
    assert "\x1b[" not in _printed(typical(), None)
    assert "\x1b[" in _printed(typical(), None, force_terminal=True)


def test_an_unambiguous_beginning_of_an_id_is_enough_and_none_means_the_strongest() -> None:
    report = typical()
    assert _printed(report, report.findings[0].id[:10]) == _printed(report, None)


def test_an_unknown_id_is_refused_with_ids_that_exist() -> None:
    report = typical()
    with pytest.raises(UncribError, match=f"no finding 'zz'; .*{report.findings[0].id}"):
        _printed(report, "zz")
    with pytest.raises(UncribError, match="no findings to show"):
        _printed(replace(report, findings=()), None)


def test_moved_blocks_keep_each_side_in_its_own_order() -> None:
    blocks = (Aligned(1, 1, 3, 3, 1.0), Aligned(2, 2, 1, 1, 1.0), Aligned(3, 3, 2, 2, 1.0))
    rows = list(opposite([(0, n) for n in (1, 2, 3)], [(0, n) for n in (1, 2, 3)], blocks))
    assert [a for a, _ in rows if a] == [(0, 1), (0, 2), (0, 3)]
    assert [b for _, b in rows if b] == [(0, 1), (0, 2), (0, 3)]


def test_a_split_function_shows_all_its_places_even_where_line_numbers_coincide() -> None:
    report = typical()
    finding = replace(
        report.findings[0],
        kind="code",
        a=(Span("one.py", "whole", 1, 2),),
        b=(Span("two.py", "first", 1, 1), Span("three.py", "second", 1, 1)),
        lines=(Aligned(1, 1, 1, 1, 9.0), Aligned(2, 2, 1, 1, 9.0, b=1)),
    )
    excerpts = (
        Excerpt("a", "one.py", "", 1, "x = 1\ny = 2"),
        Excerpt("b", "two.py", "", 1, "alpha = 1"),
        Excerpt("b", "three.py", "", 1, "beta = 2"),
    )
    lines = _printed(replace(report, findings=(finding,), excerpts=excerpts), None).splitlines()
    assert any("x = 1" in line and "alpha = 1" in line for line in lines)
    assert any("y = 2" in line and "beta = 2" in line for line in lines)


def test_control_characters_of_a_repository_do_not_reach_the_terminal() -> None:
    report = typical()
    finding = replace(report.findings[0], title="\x1b[2Jtitle\u202e", details={"\x1b]0;x\x07": "\x1b[31m"})
    text = _printed(replace(report, findings=(finding,)), None)
    assert not set(text) & set("\x1b\x07\u202e")
    assert "⟨U+001B⟩" in text

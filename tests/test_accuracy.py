"""The accuracy benchmarks: sections of their page, marks of copies, judgements on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.accuracy.copied.sample import JUDGEMENTS, labels
from benchmarks.accuracy.library import MARK
from benchmarks.accuracy.page import share, table, write_section


def test_a_section_is_replaced_and_the_rest_of_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text("# Head\n<!-- one -->\nold\n<!-- /one -->\nbetween\n<!-- two -->\nkept\n<!-- /two -->\n")
    write_section("one", "new \\1 text", page)
    assert page.read_text() == (
        "# Head\n<!-- one -->\nnew \\1 text\n<!-- /one -->\nbetween\n<!-- two -->\nkept\n<!-- /two -->\n"
    )


def test_a_page_without_the_comments_is_refused_and_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text("# Head\n")
    with pytest.raises(SystemExit, match="<!-- one -->"):
        write_section("one", "new", page)
    assert page.read_text() == "# Head\n"


def test_a_table_aligns_numbers_and_escapes_bars() -> None:
    assert table(("name", "count:"), [("a|b", 3)]) == "| name | count |\n|---|---:|\n| a\\|b | 3 |"


def test_a_share_of_nothing_is_a_dash() -> None:
    assert (share(1, 8), share(0, 0)) == ("12.5 %", "-")


@pytest.mark.parametrize(
    ("line", "original", "replaced"),
    [
        (
            "# Copied from transformers.models.bert.modeling_bert.BertLayer with Bert->X",
            "BertLayer",
            "with Bert->X",
        ),
        ("    # Copied from transformers.models.t5.modeling_t5.T5Stack.forward", "T5Stack.forward", ""),
    ],
)
def test_a_mark_names_the_original_and_what_was_replaced(line: str, original: str, replaced: str) -> None:
    found = MARK.search(f"x = 1\n{line}\nclass X: pass\n")
    assert found is not None
    assert found["original"].endswith(original)
    assert found["replaced"].strip() == replaced


@pytest.mark.parametrize(
    "line", ["# Copied from fairseq for no_repeat_ngram", "# Copied from `modeling_tf_t5.py`"]
)
def test_a_comment_about_other_sources_is_no_mark(line: str) -> None:
    assert MARK.search(line) is None


def test_every_judgement_on_record_is_one_of_the_three_and_no_finding_is_judged_twice() -> None:
    known = labels()
    assert len(known) >= 200
    assert set(known.values()) <= set(JUDGEMENTS)
    assert all(len({key[0], key[2]}) == 2 for key in known), "two sides of one file"

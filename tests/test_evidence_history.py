"""The history class on real git repositories: best revision, first holders, what came later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from git_factory import Repository, new_repository

from detector.evidence import history
from detector.evidence.chronicle.shingles import Shingler, shared_words
from detector.evidence.finding import Evidence, Finding, Span
from detector.evidence.registry import Context
from detector.options import Options
from detector.snapshot import open_snapshot

FIRST = """
import torch
from torch import nn

class Sampler(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(96, width))
        self.attend = nn.MultiheadAttention(width, heads)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, hidden, mask=None):
        batch = hidden.shape[0]
        query = self.norm(self.query).unsqueeze(1).repeat(1, batch, 1)
        out = self.attend(query, hidden, hidden, key_padding_mask=mask)[0]
        return out.permute(1, 0, 2)
"""
STREAM = """
def stream(model, tokens, limit=512, stop="<|end|>"):
    for step in range(limit):
        token = model.decode(tokens, temperature=0.7, top_p=0.8)
        if token == stop:
            return
        tokens = torch.cat([tokens, token], dim=-1)
        yield token
"""
SECOND = FIRST + STREAM
THIRD = SECOND.replace("batch = hidden.shape[0]", "batch, length, width = hidden.size()").replace(
    "nn.MultiheadAttention(width, heads)",
    "nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=False)",
)
RENAMED = {
    "Sampler": "Lens",
    "query": "seeds",
    "attend": "mix",
    "norm": "ln",
    "hidden": "x",
    "stream": "talk",
}


def laundered(text: str) -> str:
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    return text


def span(path: str, text: str, name: str = "") -> Span:
    return Span(path, name, 1, text.count("\n") + 1)


def context(*pairs: tuple[Span, Span], bits: float = 400.0, **options: Any) -> Context:
    found = tuple(Finding("code", "same", "strong", bits, (a,), (b,)) for a, b in pairs)
    return Context(Options(**options), earlier={"code": Evidence(found)})


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Repository, Repository]:
    """B grows over three revisions; A takes the second, five days before the third."""
    original, copy = new_repository(tmp_path / "b"), new_repository(tmp_path / "a")
    original.commit({"sampler.py": FIRST}, at="2024-05-01T00:00:00Z", subject="init")
    original.commit({"README.md": "hello"}, at="2024-05-03T00:00:00Z", subject="words")
    original.commit({"sampler.py": SECOND}, at="2024-05-10T00:00:00Z", subject="support stream")
    original.commit({"sampler.py": THIRD}, at="2024-05-25T00:00:00Z", subject="fix shapes")
    copy.commit({"README.md": "new"}, at="2024-05-19T00:00:00Z")
    copy.commit({"lens.py": laundered(SECOND)}, at="2024-05-20T00:00:00Z", subject="our model")
    return copy, original


def found(sides: tuple[Repository, Repository], given: Context) -> Evidence:
    a, b = (open_snapshot(str(side.path)) for side in sides)
    return history.find(a, b, given)


BOTH = (span("lens.py", SECOND), span("sampler.py", THIRD))


def test_the_revision_that_fits_best_is_neither_the_first_nor_the_newest(
    sides: tuple[Repository, Repository],
) -> None:
    (finding,) = found(sides, context(BOTH)).findings
    best: Any = finding.details["best"]
    assert best["subject"] == "support stream"
    assert best["side"] == "b"
    assert best["share"] > best["share_newest"]
    assert "2024-05-10" in finding.title


def test_what_the_other_side_lacks_is_listed_by_commit(sides: tuple[Repository, Repository]) -> None:
    (finding,) = found(sides, context(BOTH)).findings
    rows: Any = finding.details["lacks"]
    assert [(row[2], row[3]) for row in rows] == [("fix shapes", "sampler.py")]
    assert rows[0][4] > 0


def test_who_held_it_first_is_said_with_its_limits(sides: tuple[Repository, Repository]) -> None:
    evidence = found(sides, context(BOTH))
    direction: Any = evidence.findings[0].details["direction"]
    assert direction["earlier"] == "b"
    assert any(
        "dates in commits can be set at will" in reason.text for reason in evidence.findings[0].reasons
    )
    first = evidence.events[0]
    assert (first.at, first.side, first.text) == ("2024-05-01T00:00:00Z", "b", "first commit")
    assert ("2024-05-20T00:00:00Z", "a") in {
        (event.at, event.side) for event in evidence.events if "for the first time" in event.text
    }


def test_the_sides_may_be_given_the_other_way_round(sides: tuple[Repository, Repository]) -> None:
    (finding,) = found(sides[::-1], context(BOTH[::-1])).findings
    best: Any = finding.details["best"]
    assert (best["side"], best["subject"]) == ("a", "support stream")


def test_a_file_is_followed_by_content_through_a_move(sides: tuple[Repository, Repository]) -> None:
    original = sides[1]
    original.git("mv", "sampler.py", "renamed.py")
    original.commit({}, at="2024-06-01T00:00:00Z", subject="move")
    (finding,) = found(sides, context((BOTH[0], span("renamed.py", THIRD)))).findings
    first: Any = finding.details["first"]
    assert first[0][5] < "2024-05-11"


def test_an_identical_file_is_dated_by_its_blob_though_its_bytes_are_gone(tmp_path: Path) -> None:
    table = json.dumps({"vocabulary": list(range(500))})
    original, copy = new_repository(tmp_path / "b"), new_repository(tmp_path / "a")
    original.commit({"t.json": table}, at="2024-05-01T00:00:00Z")
    copy.commit({"sub/t.json": table}, at="2024-05-09T00:00:00Z")
    for side, path in ((original, "t.json"), (copy, "sub/t.json")):
        side.drop(side.git("rev-parse", f"HEAD:{path}"))
    evidence = found((copy, original), context((Span("sub/t.json"), Span("t.json"))))
    assert {(event.at[:10], event.side) for event in evidence.events if "for the first" in event.text} == {
        ("2024-05-01", "b"),
        ("2024-05-09", "a"),
    }


def test_nothing_is_followed_where_nothing_matched_or_only_upstreams_explain_it(
    sides: tuple[Repository, Repository],
) -> None:
    explained = Finding("code", "x", "strong", 400.0, (BOTH[0],), (BOTH[1],), explained_by=("torch",))
    assert found(sides, Context()) == Evidence()
    assert found(sides, Context(earlier={"code": Evidence((explained,))})) == Evidence()


def test_history_can_be_switched_off(sides: tuple[Repository, Repository]) -> None:
    assert found(sides, context(BOTH, history=False)) == Evidence()


def test_a_long_history_is_left_alone_with_a_word_until_it_is_asked_for(
    sides: tuple[Repository, Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.evidence.chronicle.side.SMALL_COMMITS", 2)
    evidence = found(sides, context(BOTH))
    assert not evidence.findings
    assert "--history" in evidence.notices[0].message
    assert found(sides, context(BOTH, history=True)).findings


def test_an_order_in_time_alone_is_weak(sides: tuple[Repository, Repository]) -> None:
    assert found(sides, context(BOTH)).findings[0].strength == "weak"


def test_commits_of_one_moment_show_no_direction(tmp_path: Path) -> None:
    a, b = new_repository(tmp_path / "a"), new_repository(tmp_path / "b")
    for side in (a, b):
        side.commit({"s.py": SECOND}, at="2024-05-01T00:00:00Z")
    (finding,) = found((a, b), context((span("s.py", SECOND), span("s.py", SECOND)))).findings
    direction: Any = finding.details["direction"]
    assert (direction["earlier"], direction["confidence"]) == ("", "none")


def test_shingles_are_not_moved_by_renaming_and_layout() -> None:
    one, other = SECOND.encode(), laundered(SECOND).replace("\n\n", "\n").replace('"', "'").encode()
    shingles = Shingler(shared_words([one], [other]))
    mine, theirs = shingles(one), shingles(other)
    assert len(mine & theirs) > 0.95 * len(mine)
    assert shingles(FIRST.encode()) < mine


BEFORE = """
import math

def page_size(width, height, limit, patch):
    ratio = math.sqrt(limit / (width * height))
    wide = int(width * ratio) // patch * patch
    high = int(height * ratio) // patch * patch
    return wide, high

def tiles(width, height, patch):
    columns = math.ceil(width / patch)
    rows = math.ceil(height / patch)
    return [(column * patch, row * patch) for row in range(rows) for column in range(columns)]
"""
AFTER = BEFORE.replace("int(width * ratio) // patch", "max(1, round(width * ratio / patch))").replace(
    "int(height * ratio) // patch", "max(1, round(height * ratio / patch))"
)
RESTRUCTURED = """
from math import ceil, sqrt as root

def fit(w, h, most, size):
    f = root(most / (w * h)); a = w * f
    b = h * f
    return (size * (int(a) // size), size * (int(b) // size))

def grid(w, h, size):
    found = []
    for j in range(ceil(h / size)):
        for i in range(ceil(w / size)):
            found.append((size * i, size * j))
    return found
"""


def test_a_restructured_copy_is_told_apart_by_what_the_code_computes(tmp_path: Path) -> None:
    original, copy = new_repository(tmp_path / "b"), new_repository(tmp_path / "a")
    original.commit({"pages.py": BEFORE + FIRST}, at="2024-05-01T00:00:00Z", subject="init")
    original.commit({"pages.py": AFTER + FIRST}, at="2024-05-21T00:00:00Z", subject="never an empty page")
    copy.commit({"fit.py": RESTRUCTURED + FIRST}, at="2024-05-10T00:00:00Z")
    pair = (span("fit.py", RESTRUCTURED + FIRST), span("pages.py", AFTER + FIRST))
    (finding,) = found((copy, original), context(pair)).findings
    best: Any = finding.details["best"]
    assert (best["subject"], best["side"]) == ("init", "b")
    assert best["share"] > best["share_newest"]

"""The same bytes on both sides are found whatever they are called, and weighed by what they hold."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from sides import Files, details, opened, snapshots

from detector.evidence.finding import Evidence
from detector.evidence.identical import find, is_common
from detector.evidence.registry import Context


def prose(seed: int, words: int = 400) -> str:
    chance = random.Random(seed)
    return "".join(f"{chance.randrange(10**6):x}{'-' if at % 9 else chr(10)}" for at in range(words))


def compare(tmp_path: Path, a: Files, b: Files) -> Evidence:
    return find(*snapshots(tmp_path, a, b), Context())


def test_a_file_moved_to_another_name_is_found_and_named_as_renamed(tmp_path: Path) -> None:
    evidence = compare(tmp_path, {"sifter.py": prose(1)}, {"skylark/connector.py": prose(1)})
    (finding,) = evidence.findings
    assert [span.path for span in (*finding.a, *finding.b)] == ["sifter.py", "skylark/connector.py"]
    assert finding.transformations == ("identical",)
    assert finding.bits > 60
    assert finding.strength == "moderate"
    assert [(rename.kind, rename.a, rename.b) for rename in evidence.renames] == [
        ("file", "sifter.py", "skylark/connector.py")
    ]


def test_a_blob_that_is_missing_on_both_sides_is_found_by_its_id(tmp_path: Path) -> None:
    a, b = snapshots(
        tmp_path, {"corpus.bin": prose(2)}, {"data/corpus.bin": prose(2)}, ["corpus.bin", "data/corpus.bin"]
    )
    (finding,) = find(a, b, Context()).findings
    assert "not at hand" in finding.title
    assert details(finding)["files"] == [["corpus.bin", "data/corpus.bin", a.files[0].blob, None, 64.0]]


def test_text_that_differs_in_white_space_and_line_ends_only_is_the_same(tmp_path: Path) -> None:
    lines = prose(3)
    changed = lines.replace("\n", "  \r\n\r\n").replace("-", " - ")
    (finding,) = compare(tmp_path, {"notes.md": lines}, {"NOTES.md": changed}).findings
    assert finding.transformations == ("reformatted",)
    assert details(finding)["how"] == "the same text but for white space"


def test_different_texts_are_not_the_same(tmp_path: Path) -> None:
    assert compare(tmp_path, {"a.py": prose(4)}, {"b.py": prose(4) + "x"}).findings == ()


def test_pointers_to_one_large_object_agree_though_their_blobs_differ(tmp_path: Path) -> None:
    oid = hashlib.sha256(b"weights").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 34148369344\n"
    extended = pointer.replace("\noid", "\next-0-tool sha256:" + "0" * 64 + "\noid")
    (finding,) = compare(tmp_path, {"model.bin": pointer}, {"model.bin": extended}).findings
    assert details(finding)["how"] == "the same large object"
    assert details(finding)["files"][0][3] == 34148369344


def test_a_pointer_and_the_object_that_it_points_to_agree(tmp_path: Path) -> None:
    content = prose(5)
    oid = hashlib.sha256(content.encode()).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    (finding,) = compare(tmp_path, {"table.dat": pointer}, {"table.dat": content}).findings
    assert details(finding)["how"] == "the same large object"


def test_what_everybody_has_carries_nothing(tmp_path: Path) -> None:
    shared = {
        "LICENSE": prose(6),
        "pkg/__init__.py": "",
        "pkg/long/__init__.py": prose(7),
        ".gitignore": prose(8),
        "requirements.txt": prose(9),
        ".github/workflows/ci.yml": prose(10),
        "tiny.py": "x = 1\n",
    }
    assert compare(tmp_path, shared, shared).findings == ()
    assert not is_common("pkg/licenser.py")
    assert not is_common("setup_model.py")


def test_one_shared_file_may_be_a_third_partys_but_many_are_strong(tmp_path: Path) -> None:
    many = {f"part{at}.py": prose(20 + at, 900) for at in range(8)}
    alone = compare(tmp_path / "one", {"part.py": prose(20, 900)}, {"part.py": prose(20, 900)})
    assert alone.findings[0].strength == "moderate"
    together = compare(tmp_path / "many", many, many)
    assert {finding.strength for finding in together.findings} == {"very strong"}


def test_pictures_and_files_that_other_classes_weigh_stay_weak(tmp_path: Path) -> None:
    shared = {f"assets/{at}.png": b"\x89PNG" + prose(at, 3000).encode() for at in range(9)}
    shared |= {"tokenizer.json": prose(40, 3000).encode(), "conf/train.yaml": prose(41, 3000).encode()}
    evidence = compare(tmp_path, shared, shared)
    assert len(evidence.findings) == 11
    assert {finding.strength for finding in evidence.findings} == {"weak"}


def test_what_an_upstream_holds_too_is_explained_by_it(tmp_path: Path) -> None:
    a, b = snapshots(tmp_path, {"ops.py": prose(50)}, {"ops.py": prose(50)})
    upstream = opened(tmp_path / "upstream", {"lib/ops.py": prose(50)})
    (finding,) = find(a, b, Context(upstreams=(upstream,))).findings
    assert finding.explained_by == ("upstream",)


def test_thousands_of_copies_of_one_file_are_listed_in_bounds(tmp_path: Path) -> None:
    copies = {f"d{at}/same.py": prose(60) for at in range(300)}
    (finding,) = compare(tmp_path, copies, copies).findings
    assert len(details(finding)["files"]) <= 50

"""A background is one file: what is in it reads back, and anything else is refused in one clear line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.background import Background
from detector.background.archive import open_archive, write_archive
from detector.background.table import STEPS, tabulate
from detector.errors import UncribError


def hashes(*numbers: int) -> NDArray[np.uint64]:
    return np.array(numbers, np.uint64)


def test_a_thing_seen_in_a_quarter_of_a_large_sample_carries_two_bits() -> None:
    table = tabulate(hashes(7), np.array([0.25]), sample=1e6, capacity=10)
    assert table.bits(hashes(7))[0] == pytest.approx(2.0, abs=1 / STEPS)


def test_bits_come_in_the_order_of_the_question_and_repeat_with_it() -> None:
    table = tabulate(hashes(1, 2, 3), np.array([1 / 2, 1 / 16, 1 / 256]), sample=1e6, capacity=10)
    assert table.bits(hashes(3, 1, 2, 3)) == pytest.approx([8, 1, 4, 8], abs=1 / STEPS)


def test_an_unknown_thing_carries_what_the_sample_supports() -> None:
    small = tabulate(hashes(1), np.array([0.5]), sample=1_000, capacity=10)
    large = tabulate(hashes(1), np.array([0.5]), sample=1_000_000, capacity=10)
    assert small.bits(hashes(99))[0] == pytest.approx(np.log2(1_002))
    assert large.bits(hashes(99))[0] == pytest.approx(np.log2(1_000_002))


def test_nothing_carries_more_than_an_unknown_thing() -> None:
    table = tabulate(hashes(1, 2), np.array([0.5, 1e-12]), sample=1_000, capacity=10)
    assert table.bits(hashes(2))[0] <= table.unknown


def test_what_does_not_fit_carries_no_more_than_the_rarest_thing_that_does() -> None:
    shares = np.array([2.0**-n for n in range(1, 9)])
    table = tabulate(np.arange(8, dtype=np.uint64), shares, sample=1e6, capacity=4)
    assert len(table.keys) == 4
    assert table.bits(hashes(7))[0] == table.bits(hashes(3))[0] == pytest.approx(4, abs=1 / STEPS)


def test_an_empty_table_knows_nothing_and_says_so() -> None:
    table = tabulate(hashes(), np.zeros(0), sample=0, capacity=4)
    assert table.bits(hashes(1, 2)).tolist() == [table.unknown] * 2
    assert table.bits(hashes()).tolist() == []


def test_arrays_read_back_as_they_were_written(tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "a": np.arange(1000, dtype=np.uint32),
        "empty": np.zeros(0, np.uint8),
        "b": np.ones(3, np.uint16),
    }
    write_archive(tmp_path / "file", {"name": "é"}, arrays)
    archive = open_archive(tmp_path / "file")
    assert archive.about == {"name": "é"}
    assert {name: array.tolist() for name, array in archive.arrays.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert archive.intact()


def test_arrays_cannot_be_written_through(tmp_path: Path) -> None:
    write_archive(tmp_path / "file", {}, {"a": np.arange(4, dtype=np.uint8)})
    with pytest.raises(ValueError, match="read-only"):
        open_archive(tmp_path / "file").arrays["a"][0] = 1


def test_a_changed_byte_in_the_arrays_is_noticed_on_request(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_archive(path, {}, {"a": np.arange(1000, dtype=np.uint8)})
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert not open_archive(path).intact()


def damaged(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UncribError) as caught:
        Background.open(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_every_wrong_file_is_refused_with_one_line(tmp_path: Path) -> None:
    good = tmp_path / "good"
    write_archive(good, {}, {"a": np.arange(1000, dtype=np.uint8)})
    content = good.read_bytes()
    assert "not a background" in damaged(tmp_path / "empty", b"")
    assert "not a background" in damaged(tmp_path / "foreign", b"PK\x03\x04" + bytes(1000))
    assert "cut short" in damaged(tmp_path / "short", content[:-500])
    assert "size" in damaged(tmp_path / "long", content + b"more")
    assert "checksum" in damaged(tmp_path / "header", content[:40] + b"#" + content[41:])
    assert "checksum" in damaged(tmp_path / "huge", content[:12] + b"\xff\xff\xff\xff" + content[16:])
    assert "format 9" in damaged(tmp_path / "format", content[:8] + b"\x09" + content[9:])
    assert "build it again" in damaged(tmp_path / "lacking", content)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UncribError, match="cannot be read"):
            Background.open(path)


def test_worker_processes_get_the_file_not_a_copy_of_it() -> None:
    background = Background.open()
    assert len(pickle.dumps(background)) < 1000
    assert pickle.loads(pickle.dumps(background)) is background

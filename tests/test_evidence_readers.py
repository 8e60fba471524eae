"""Settings, vocabularies and defaults are read as data; hostile files give a clause instead of a crash."""

from __future__ import annotations

import io
import random
import time
import zipfile

import pytest

from detector.evidence.readers.defaults import read_defaults
from detector.evidence.readers.sentencepiece import CONTROL, NORMAL, Piece, read_pieces
from detector.evidence.readers.tree import read_tree
from detector.evidence.readers.unreadable import Unreadable
from detector.evidence.readers.yaml_events import MOST_NODES

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 12)
)
MERGES = "m0: &m0 {k0: 1}\n" + "".join(
    f"m{at}: &m{at}\n  <<: [{', '.join([f'*m{at - 1}'] * 10)}]\n  k{at}: 1\n" for at in range(1, 12)
)


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tokenizer.json", b"0" * 2**24)
    return packed.getvalue()


HOSTILE = {
    "nested lists": ("c.json", b"[" * 100_000 + b"]" * 100_000),
    "nested objects": ("c.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "cut short": ("c.json", b'{"a": [1, 2'),
    "huge integer": ("c.json", b'{"a": ' + b"9" * 2**20 + b"}"),
    "not utf-8": ("c.json", b'{"a": "\xff\xfe"}'),
    "NUL bytes": ("c.json", b"\0" * 5000),
    "zip named json": ("c.json", zip_bomb()),
    "billion laughs": ("c.yaml", LAUGHS.encode()),
    "billion merges": ("c.yaml", MERGES.encode()),
    "alias to itself": ("c.yaml", b"a: &a [*a]"),
    "nested flow": ("c.yaml", b"[" * 100_000),
    "nested dashes": ("c.yaml", b"- " * 100_000 + b"x"),
    "nested keys": ("c.yaml", b"? " * 100_000 + b"x"),
    "many nodes": ("c.yaml", b"- x\n" * (MOST_NODES + 1)),
    "large yaml": ("c.yaml", b"a: " + b"x" * 2**21),
    "tabs": ("c.yaml", b"a:\n\t- b: [\n"),
    "binary": ("c.yaml", bytes(range(256)) * 50),
    "nested toml": ("c.toml", b"a = " + b"[" * 100_000),
    "broken toml": ("c.toml", b"a = = 1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_settings_file_is_refused_in_bounded_time(name: str) -> None:
    path, data = HOSTILE[name]
    start = time.process_time()
    with pytest.raises(Unreadable) as caught:
        read_tree(path, data)
    assert time.process_time() - start < 3
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_yaml_is_read_as_its_authors_mean_it() -> None:
    text = b"base: &b {lr: 1e-4, on: yes, name: '12'}\nrun:\n  <<: *b\n  lr: .5\n  sizes: [1, ~, x]\n"
    assert read_tree("train.yaml", text) == {
        "base": {"lr": 1e-4, "on": True, "name": "12"},
        "run": {"lr": 0.5, "on": True, "name": "12", "sizes": [1, None, "x"]},
    }


def test_yaml_constructs_nothing() -> None:
    tree = read_tree(
        "a.yaml", b"a: !!python/object/apply:os.system ['exit 1']\nb: !Foo {x: 1}\n---\nsecond: 2\n"
    )
    assert tree == [{"a": ["exit 1"], "b": {"x": 1}}, {"second": 2}]


def test_json_and_toml_are_read() -> None:
    assert read_tree("c.json", b'\xef\xbb\xbf{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    assert read_tree("c.toml", b"[a]\nwhen = 2024-05-20\nb = [1.5]\n") == {
        "a": {"when": "2024-05-20", "b": [1.5]}
    }


def test_lone_surrogates_become_question_marks_wherever_they_stand() -> None:
    assert read_tree("c.json", b'{"\\ud800k": ["x\\uDFFF", "\\ud83d\\ude00"]}') == {
        "?k": ["x?", "\N{GRINNING FACE}"]
    }
    (place,) = read_defaults("config.py", b"name = '\\ud800'\n", 5)
    assert place.entries[0].text == 'name="?"'


def field(number: int, wire: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3 | wire) + varint(value)
    return varint(number << 3 | wire) + (varint(len(value)) if wire == 2 else b"") + value


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def piece(text: str, kind: int) -> bytes:
    return field(1, 2, field(1, 2, text.encode()) + field(2, 5, b"\0\0\x80\xbf") + field(3, 0, kind))


def test_pieces_of_a_sentencepiece_model_are_read_in_order_of_id() -> None:
    trainer = field(2, 2, field(1, 2, b"corpus.txt") + field(4, 0, 32000))
    model = piece("<s>", CONTROL) + piece("▁the", NORMAL) + trainer + piece("," * 200, NORMAL)
    assert read_pieces(model) == (Piece("<s>", CONTROL), Piece("▁the", NORMAL), Piece("," * 200, NORMAL))


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0" * 1000,
        bytes(range(256)) * 100,
        zip_bomb(),
        b"\x80" * 1000,
        varint(1 << 3 | 2) + varint(2**60),
        piece("x", NORMAL)[:-3],
        field(1, 2, field(3, 0, 1)),
        b"\x0b" * 500,
        random.Random(1).randbytes(2**20),
    ],
    ids=[
        "empty",
        "NULs",
        "bytes",
        "zip",
        "endless varint",
        "2^60 bytes",
        "cut",
        "no text",
        "groups",
        "random",
    ],
)
def test_what_is_no_sentencepiece_model_is_refused(garbage: bytes) -> None:
    with pytest.raises(Unreadable, match="SentencePiece"):
        read_pieces(garbage)


CODE = b"""
import argparse
from dataclasses import dataclass

class LapwingConfig(PretrainedConfig):
    model_type = "lapwing"

    def __init__(self, latent_count=72, seam: int = 32, layers=make(3), **kwargs):
        self.latent_count = latent_count
        self.slice_mode = True
        self.mean = (0.5, 0.5)

@dataclass
class Job:
    lr: float = 3e-4
    name: str = field(default="x")

class Trainer:
    steps = 5

parser.add_argument("-q", "--query-num", type=int, default=96)
parser.add_argument("--flag", action="store_true")
"""


def test_defaults_of_configuration_classes_and_options_are_read_from_the_syntax() -> None:
    places = {
        place.name: dict(entry[1:] for entry in place.entries) for place in read_defaults("m.py", CODE, 5)
    }
    assert places == {
        "LapwingConfig": {
            "model_type": '"lapwing"',
            "latent_count": "72",
            "seam": "32",
            "slice_mode": "true",
            "mean": "[0.5,0.5]",
        },
        "Job": {"lr": "0.0003"},
        "": {"query_num": "96"},
    }


def test_constants_of_a_configuration_module_are_settings_but_not_those_of_other_code() -> None:
    text = b"batch_size = 12\nlearning_rate = 6e-4\nwhere = compute()\n"
    (place,) = read_defaults("config/train.py", text, 5)
    assert [entry.text for entry in place.entries] == ["batch_size=12", "learning_rate=0.0006"]
    assert read_defaults("train.py", text, 5) == ()


@pytest.mark.parametrize(
    "code",
    [
        b"class AConfig:\n    x = " + b"(" * 100_000,
        b"class AConfig:\n    x = " + b"-" * 100_000 + b"1\n",
        b"class AConfig:\n    x = '" + b"y" * 2**20,
        b"class AConfig:\n    x = 1\0\0\n",
        b"class AConfig(" * 1000,
        b"x.add_argument(" * 2000,
    ],
    ids=["parentheses", "signs", "long line", "NUL", "classes", "calls"],
)
def test_hostile_code_states_no_defaults_and_costs_little(code: bytes) -> None:
    start = time.process_time()
    read_defaults("a.py", code, 5)
    assert time.process_time() - start < 6

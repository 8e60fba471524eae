"""What survives a renaming is found and weighed by how rare it is and how far it is spread."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sides import Files, details, opened, snapshots
from spellchecker import SpellChecker

from detector.evidence.finding import Evidence, Finding
from detector.evidence.leftover.numbers import common_numbers
from detector.evidence.leftover.prose import alike
from detector.evidence.leftover.spelling import LEAST_USE, common_words
from detector.evidence.leftovers import constant_strength, find
from detector.evidence.registry import Context
from detector.evidence.words import read_words

PROSE = "the wobbling sifter looks at every overview tile before the seam is closed by the outer frobnicator"


def compare(tmp_path: Path, a: Files, b: Files) -> Evidence:
    return find(*snapshots(tmp_path, a, b), Context())


def titled(evidence: Evidence, part: str) -> Finding:
    (found,) = [finding for finding in evidence.findings if part in finding.title]
    return found


def kinds(evidence: Evidence) -> set[str]:
    return {item[0] for finding in evidence.findings for item in details(finding)["items"]}


def functions(prefix: str, first: int, last: int) -> str:
    return "".join(f"def zorp_{prefix}_{at}(x):\n    return x\n\n\n" for at in range(first, last))


def test_rare_identifiers_are_listed_with_their_places(tmp_path: Path) -> None:
    a = {"m.py": "def load():\n    zorp_refine_size = 3\n    return zorp_refine_size\n"}
    b = {"pkg/n.py": "\n\nclass Model:\n    zorp_refine_size = 4\n    hidden_size = 5\n"}
    finding = titled(compare(tmp_path, a, b), "1 rare identifier ")
    ((kind, text, bits, place_a, place_b),) = details(finding)["items"]
    assert (kind, text, place_a, place_b) == ("identifier", "zorp_refine_size", "m.py:2", "pkg/n.py:4")
    assert bits > 8
    assert (finding.a[0].path, finding.a[0].start_line) == ("m.py", 2)
    assert finding.strength == "weak"


def test_many_shared_over_the_whole_side_are_strong_and_few_are_weak(tmp_path: Path) -> None:
    own = {"a.py": functions("own", 0, 30)}
    copied = {"copy.py": functions("own", 0, 26) + functions("new", 0, 4)}
    distant = {"other.py": functions("own", 0, 3) + functions("new", 0, 60)}
    assert titled(compare(tmp_path / "1", own, copied), "rare identifiers").strength == "strong"
    assert titled(compare(tmp_path / "2", own, distant), "rare identifiers").strength == "weak"


def test_names_that_both_import_from_elsewhere_are_not_theirs(tmp_path: Path) -> None:
    code = "from zorplib.frobs import ZorpLayer as Z\nimport zorplib.quuxes\n\nlayer = Z()\n"
    assert "identifier" not in kinds(
        compare(tmp_path, {"a.py": code}, {"b.py": code.replace("layer", "thing")})
    )


def test_messages_and_prompts_survive_rewrapping(tmp_path: Path) -> None:
    a = {"a.py": 'raise ValueError(f"only {left} zorp tokens left for an anwser, the page fills it")\n'}
    b = {"b.py": 'warn(\n  f"only {n} zorp tokens "\n  "left for an anwser, "\n  "the page fills it"\n)\n'}
    evidence = compare(tmp_path, a, b)
    ((_, text, bits, _, _),) = details(titled(evidence, "string literal"))["items"]
    assert text == "only {} zorp tokens left for an anwser, the page fills it"
    assert bits > 15
    misspelt = titled(evidence, "misspelt alike")
    assert details(misspelt)["items"][0][1] == "anwser (for answer)"


def test_other_forms_of_a_word_are_no_mistakes(tmp_path: Path) -> None:
    code = "# normalise the colours, the behaviour and the colour of the centre, doesnt matter\nx = 1\n"
    assert "misspelling" not in kinds(compare(tmp_path, {"a.py": code}, {"b.py": code}))


def test_common_words_are_those_of_the_dictionary_that_texts_use_often() -> None:
    dictionary = SpellChecker()
    often = {word for word in dictionary if dictionary[word] >= LEAST_USE}
    assert sorted(often, key=lambda word: (-dictionary[word], word)) == list(common_words())


@pytest.mark.parametrize("slip", ["langauge", "languge", "languuage", "lanhuage"])
def test_one_slip_of_each_kind_is_a_mistake(tmp_path: Path, slip: str) -> None:
    code = {"a.py": f"# the {slip}\nx = 1\n"}
    assert f"{slip} (for language)" in titled(compare(tmp_path, code, code), "misspelt alike").title


def test_a_paraphrased_docstring_is_found_by_its_shingles(tmp_path: Path) -> None:
    a = {"a.py": f'def f():\n    """Here {PROSE}."""\n'}
    b = {"b.py": f"# {PROSE.replace('looks at', 'looks briefly at')}\nx = 1\n"}
    ((kind, text, _, place_a, place_b),) = details(titled(compare(tmp_path, a, b), "comment"))["items"]
    assert (kind, place_a, place_b) == ("prose", "a.py:2", "b.py:1")
    assert "wobbling sifter" in text
    assert (
        alike([PROSE], ["every overview tile is before the wobbling frobnicator and looks at the outer seam"])
        == []
    )


def test_licence_texts_and_credits_are_not_prose(tmp_path: Path) -> None:
    text = "# Licensed under the Apache License, Version 2.0; you may not use this file otherwise\n"
    text += "\nx = 1\n\n# adapted from the reference code of the zorp paper, layers reordered\ny = 1\n"
    assert kinds(compare(tmp_path, {"a.py": text}, {"b.py": text})) == set()


def test_a_borrowed_file_in_a_large_repository_is_weak_whatever_it_holds(tmp_path: Path) -> None:
    def remarks(seed: int) -> str:
        return "".join(
            f"# remark {seed} number {at} on {PROSE} and {seed * at}\nx{at} = {at}\n\n" for at in range(12)
        )

    a = {f"a{at}.py": remarks(at) for at in range(30)}
    b = {f"b{at}.py": remarks(100 + at).replace("wobbling", "b").replace("tile", "c") for at in range(29)}
    evidence = compare(tmp_path, a, {**b, "borrowed.py": a["a3.py"]})
    assert titled(evidence, "comments alike").strength == "weak"


def shared_numbers(tmp_path: Path, a: str, b: str) -> dict[str, float]:
    side_a, side_b = snapshots(tmp_path, {"a.py": a}, {"b.py": b})
    return dict(common_numbers(read_words(side_a, "")[0], read_words(side_b, "")[0], ()).unusual)


@pytest.mark.parametrize(
    ("number", "is_unusual"),
    [("0.7310585", True), ("418077", True), ("1127", True), ("7", False), ("256", False), ("0.5", False)],
)
def test_a_number_is_unusual_if_few_public_functions_hold_it(
    tmp_path: Path, number: str, is_unusual: bool
) -> None:
    assert bool(shared_numbers(tmp_path, f"x = {number}\n", f"y({number})\n")) is is_unusual


def test_a_number_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    assert shared_numbers(tmp_path, "x = 7.3e-5\ny = 418_077\n", "x = 0.000073\ny = 0x6611D\n").keys() == {
        "7.3e-5",
        "418_077",
    }


@pytest.mark.parametrize(
    "conventional",
    ["gamma = 0.99", "gamma: float = 0.99", 'x = {"gamma": 0.99}', 'add_argument("--gamma", default=0.99)'],
)
def test_a_number_that_public_settings_give_to_its_name_is_expected(
    tmp_path: Path, conventional: str
) -> None:
    renamed = "zorp = 0.99\n"
    assert shared_numbers(tmp_path / "1", renamed, renamed).keys() == {"0.99"}
    assert shared_numbers(tmp_path / "2", f"{conventional}\n", renamed) == {}
    assert shared_numbers(tmp_path / "3", renamed, f"{conventional}\n") == {}


DICTATED = "a, b, c = 7600, 1127, 0.0007\n"


def numbers(*values: float) -> str:
    return "".join(f"use({value})\n" for value in values)


def test_nearly_the_same_list_of_numbers_is_moderate_and_a_common_part_of_it_is_not(tmp_path: Path) -> None:
    first = DICTATED + numbers(0.1273, 5317, 27.5)
    rewritten = numbers(27.5, 5317, 0.0007, 1127, 7600, 0.1273, 2)
    honest = DICTATED + numbers(0.0931, 6133)
    copy = titled(compare(tmp_path / "1", {"a.py": first}, {"b.py": rewritten}), "unusual")
    assert (copy.strength, copy.title) == (
        "moderate",
        "6 numbers on both sides, 6 of them unusual (0 only in A, 0 only in B)",
    )
    items = {item[1]: (item[3], item[4]) for item in details(copy)["items"]}
    assert items["5317"] == ("a.py:3", "b.py:2")
    other = titled(compare(tmp_path / "2", {"a.py": first}, {"b.py": honest}), "unusual")
    assert other.strength == "weak"
    assert "(3 only in A, 2 only in B)" in other.title


def test_constants_are_never_more_than_moderate_and_never_the_bits_of_a_best_finding(tmp_path: Path) -> None:
    table = {"a.py": numbers(*(1000.37 + 17 * at for at in range(200)))}
    found = titled(compare(tmp_path, table, table), "unusual")
    assert (found.strength, found.bits) == ("moderate", 50.0)


def test_large_sides_that_share_a_few_unusual_numbers_say_nothing_by_them(tmp_path: Path) -> None:
    def side(seed: int) -> str:
        return numbers(1127, 600, 150, *(1000.37 + seed + 0.01 * at for at in range(40)))

    assert "constant" not in kinds(compare(tmp_path, {"a.py": side(0)}, {"b.py": side(7000)}))


COMMON = (5, 6, 8, 16, 20, 32, 64, 100, 128, 256, 512, 1000, 0.1, 0.5, 0.9, 0.001)


def test_so_are_the_same_usual_numbers_where_neither_side_has_others(tmp_path: Path) -> None:
    first, same = {"a.py": numbers(*COMMON)}, {"b.py": numbers(*reversed(COMMON), 2)}
    copy = titled(compare(tmp_path / "1", first, same), "16 numbers on both sides")
    assert (copy.strength, len(details(copy)["items"])) == ("moderate", 16)
    honest = {"b.py": numbers(*COMMON[:12], 40, 0.25, 0.3)}
    assert "constant" not in kinds(compare(tmp_path / "2", first, honest))


def test_a_number_of_one_side_alone_speaks_more_against_a_copy_than_a_common_one_for_it(
    tmp_path: Path,
) -> None:
    def link(name: str, *theirs: float) -> float:
        a, b = snapshots(tmp_path / name, {"a.py": numbers(*COMMON)}, {"b.py": numbers(*theirs)})
        return common_numbers(read_words(a, "")[0], read_words(b, "")[0], ()).link

    whole, less, more = link("1", *COMMON), link("2", *COMMON[:-1]), link("3", *COMMON, 70)
    assert whole - less > 3 * whole / len(COMMON)
    assert whole - more > 2 * whole / len(COMMON)


@pytest.mark.parametrize(
    ("unusual", "share", "link", "strength"),
    [
        ([4.0] * 5, 0.7, 0.0, "moderate"),
        ([4.0] * 5, 0.69, 0.0, "weak"),
        ([2.9] * 5, 1.0, 0.0, "weak"),
        ([5.0] * 4, 1.0, 0.0, "weak"),
        ([5.0] * 4, 1.0, 8.0, "moderate"),
        ([4.0] * 5, 0.29, 0.0, "none"),
        ([8.8], 0.01, 0.0, "weak"),
        ([], 0.0, 7.9, "none"),
        ([], 0.0, 8.0, "moderate"),
    ],
)
def test_the_scale_of_constants(unusual: list[float], share: float, link: float, strength: str) -> None:
    assert constant_strength(unusual, share, link) == strength


def test_constants_and_private_paths(tmp_path: Path) -> None:
    a = {"a.py": "SEED = 4180773\nMEAN = 0.48145466\nroot = '/mnt/zorp/alice/run7/tiles.npz'\n"}
    b = {"b.py": "torch.manual_seed(4180773)\nm = 0.48145466\nload('/mnt/zorp/alice/run7/tiles.npz')\n"}
    evidence = compare(tmp_path, a, b)
    assert [item[1] for item in details(titled(evidence, "of them unusual"))["items"]] == ["4180773"]
    assert [item[1] for item in details(titled(evidence, "private path"))["items"]] == [
        "/mnt/zorp/alice/run7/tiles.npz"
    ]


def test_a_setting_that_names_a_module_of_the_other_side_is_named(tmp_path: Path) -> None:
    a = {"modeling_zorpv.py": "class ZorpTokenizerWrapper(Base):\n    pass\n"}
    b = {
        "x/tokenizer_config.json": '{\n "auto_map": {"x": ["modeling_zorpv.ZorpTokenizerWrapper", null]}}',
        "x/model.py": "x = 1\n",
    }
    finding = titled(compare(tmp_path, a, b), "B refers to a module that only A has")
    assert details(finding)["items"] == [
        [
            "module",
            "modeling_zorpv.ZorpTokenizerWrapper",
            20.0,
            "modeling_zorpv.py",
            "x/tokenizer_config.json:2",
        ]
    ]
    assert finding.strength == "moderate"
    assert finding.b[0].start_line == 2


def test_imports_and_scripts_that_lead_to_the_other_side(tmp_path: Path) -> None:
    a = {
        "zorpnet/train/train_zorp.py": "x = 1\n",
        "zorpnet/__init__.py": "",
        "zorpnet/sifterlib.py": "y = 1\n",
    }
    b = {
        "skylark/run.py": "from zorpnet.train import go\nfrom .sifterlib import z\nimport torch\n",
        "run.sh": "python zorpnet/train/train_zorp.py --lr 1\n",
    }
    finding = titled(compare(tmp_path, a, b), "B refers to 3 modules, classes or files that only A has")
    assert {(item[0], item[1], item[4]) for item in details(finding)["items"]} == {
        ("module", "zorpnet.train", "skylark/run.py:1"),
        ("module", ".sifterlib", "skylark/run.py:2"),
        ("path", "zorpnet/train/train_zorp.py", "run.sh:1"),
    }


def test_honest_references_are_left_out(tmp_path: Path) -> None:
    a = {
        "zorpnet/__init__.py": "",
        "modeling_zorpv.py": "class ZorpModel: pass\n",
        "lib/zorphelp/__init__.py": "",
    }
    b = {
        "requirements.txt": "zorpnet>=1.0\n",
        "run.py": "import zorpnet\nimport zorphelp\n",
        "config.json": '{"auto_map": {"AutoModel": "someone/zorp--modeling_zorpv.ZorpModel"}}',
        "notes.yaml": "# see modeling_zorpv.ZorpModel\nx: 1\n",
    }
    assert not [finding for finding in compare(tmp_path, a, b).findings if "refers to" in finding.title]


def test_names_of_the_one_inside_the_other(tmp_path: Path) -> None:
    a = {
        "config.json": json.dumps({"_name_or_path": "zorplab/Snibble-V2"}),
        "LICENSE": "MIT License\n\nCopyright (c) 2024 Wilhelmina Zorpelius\n",
    }
    b = {"model.py": "# thanks to W. and wilhelmina zorpelius\nclass SnibbleV2Copy:\n    pass\n"}
    finding = titled(compare(tmp_path, a, b), "One side names the other")
    assert {(item[1], item[4]) for item in details(finding)["items"]} == {
        ("Snibble-V2", "model.py:2"),
        ("Wilhelmina Zorpelius", "model.py:1"),
    }
    assert finding.strength == "weak"


def test_what_an_upstream_holds_is_not_counted(tmp_path: Path) -> None:
    code = functions("own", 0, 30) + f"# {PROSE}\nmessage = 'a zorp message of some length'\nseed = 4180773\n"
    a, b = snapshots(tmp_path, {"a.py": code}, {"b.py": code})
    assert kinds(find(a, b, Context())) == {"identifier", "prose", "text", "constant"}
    upstream = opened(tmp_path / "upstream", {"lib.py": code})
    assert find(a, b, Context(upstreams=(upstream,))).findings == ()


def test_notebooks_are_read_and_unrelated_code_shares_nothing(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": ["zorp_in_cell = 1\n"], "metadata": {}, "outputs": []}
    notebook = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    assert kinds(compare(tmp_path / "1", {"n.ipynb": notebook}, {"b.py": "zorp_in_cell = 2\n"})) == {
        "identifier"
    }
    plain = "import torch\n\ndef forward(self, x):\n    return torch.relu(x)\n"
    assert compare(tmp_path / "2", {"a.py": plain}, {"b.py": plain}).findings == ()


def test_hostile_files_cost_little_and_break_nothing(tmp_path: Path) -> None:
    files: dict[str, bytes] = {
        "brackets.py": b"(" * 100_000,
        "quotes.py": b'"""' * 100_000,
        "long.py": b"zorp_long " * 50_000,
        "nul.py": b"\0" * 10_000 + b"zorp_after_nul = 1\n",
        "deep.json": b"[" * 100_000,
        "line.md": b"a/" * 100_000,
        "comments.py": b"# a b c d e f g h i\nx\n" * 10_000,
        "huge.py": b"x = 1\n" * 100_000,
        "table.py": b"".join(b"%d.5:%d.25," % (at, at) for at in range(25_000)),
        "bad.ipynb": b'{"cells": 5}',
    }
    start = time.process_time()
    evidence = compare(tmp_path, files, files)
    assert time.process_time() - start < 8
    assert [(notice.where, notice.side) for notice in evidence.notices] == [
        ("huge.py", "a"),
        ("huge.py", "b"),
    ]
    assert "zorp_long" in {item[1] for finding in evidence.findings for item in details(finding)["items"]}

"""Settings are compared as keys and values: what is unusual counts, what follows from a base does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sides import Files, details, opened, snapshots

from detector.evidence.config import find, value_bits
from detector.evidence.finding import Evidence
from detector.evidence.readers.defaults import read_defaults
from detector.evidence.registry import Context

ORDINARY = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "rope_theta": 500000.0,
    "vocab_size": 128256,
    "torch_dtype": "float16",
    "use_cache": False,
}
OWN = {
    "zorp_count": 72,
    "snibble_mode": True,
    "quux_sifter_depth": 3,
    "wobble_init": 0.03,
    "frobnicator": "late",
}


def compare(tmp_path: Path, a: Files, b: Files) -> Evidence:
    return find(*snapshots(tmp_path, a, b), Context())


def test_unusual_keys_weigh_most_and_ordinary_ones_are_listed(tmp_path: Path) -> None:
    a = {"config.json": json.dumps({**ORDINARY, **OWN, "model_type": "lapwing"})}
    b = {"skylark/config.json": json.dumps({**OWN, **ORDINARY, "model_type": "skylark"}, indent=4)}
    (finding,) = compare(tmp_path, a, b).findings
    pairs = details(finding)["pairs"]
    assert {pair[0] for pair in pairs[:5]} == set(OWN)
    assert {pair[0] for pair in pairs} == set(ORDINARY) | set(OWN)
    assert min(pair[3] for pair in pairs[:5]) > 5 > max(pair[3] for pair in pairs[5:])
    assert details(finding)["only_a"] == ['model_type = "lapwing"']
    assert details(finding)["only_b"] == ['model_type = "skylark"']
    assert finding.strength == "moderate"


def test_two_models_on_one_base_share_nothing_that_counts(tmp_path: Path) -> None:
    config = {"config.json": json.dumps(ORDINARY)}
    assert compare(tmp_path, config, config).findings == ()


def test_a_settings_file_of_a_public_tool_says_nothing(tmp_path: Path) -> None:
    zero = {
        "zero_optimization": {"stage": 2, "overlap_comm": True},
        "fp16": {"enabled": "auto", "hysteresis": 2},
    }
    files = {"scripts/zero2.json": json.dumps(zero)}
    assert compare(tmp_path, files, files).findings == ()


def test_values_that_moved_into_another_nesting_and_format_are_found(tmp_path: Path) -> None:
    a = {"config.json": json.dumps({"sifter": OWN})}
    b = {
        "conf/train.yaml": "model:\n"
        + "".join(f"  {key}: {json.dumps(value)}\n" for key, value in OWN.items())
    }
    (finding,) = compare(tmp_path, a, b).findings
    assert [pair[:2] for pair in details(finding)["pairs"]] == [
        [f"sifter.{key}", f"model.{key}"] for key in sorted(OWN)
    ]


def test_defaults_of_a_class_are_compared_with_a_settings_file_and_with_options(tmp_path: Path) -> None:
    fields = "".join(f"        self.{key} = {value!r}\n" for key, value in OWN.items())
    a = {"configuration.py": f"class LapwingConfig(Base):\n    def __init__(self):\n{fields}"}
    options = "".join(
        f"p.add_argument('--{key.replace('_', '-')}', default={value!r})\n" for key, value in OWN.items()
    )
    (finding,) = compare(tmp_path, a, {"train.py": options}).findings
    assert (finding.a[0].name, finding.a[0].start_line, finding.a[0].end_line) == ("LapwingConfig", 1, 7)
    assert len(details(finding)["pairs"]) == len(OWN)


def test_a_renamed_key_is_known_by_its_unusual_value(tmp_path: Path) -> None:
    a = {"config.json": json.dumps({**OWN, "latent_seed": 4180773, "small": 7})}
    b = {"config.json": json.dumps({**OWN, "start_from": 4180773, "little": 7})}
    evidence = compare(tmp_path, a, b)
    assert [(rename.kind, rename.a, rename.b) for rename in evidence.renames] == [
        ("key", "latent_seed", "start_from")
    ]
    assert evidence.findings[0].renames == evidence.renames


@pytest.mark.parametrize(
    "value", ["96", "4096", "0.02", "1e-05", "500000", "true", "null", '"float16"', "[1,2]"]
)
def test_ordinary_values_alone_carry_nothing(value: str) -> None:
    assert value_bits(value) < 5


def test_entries_count_once_however_many_files_repeat_them(tmp_path: Path) -> None:
    files = {
        f"hyp/{at}.yaml": "".join(f"{key}: {json.dumps(value)}\n" for key, value in OWN.items())
        for at in range(5)
    }
    assert len(compare(tmp_path, files, files).findings) == 1


def test_what_an_upstream_states_is_not_counted(tmp_path: Path) -> None:
    files = {"config.json": json.dumps(OWN)}
    a, b = snapshots(tmp_path, files, files)
    upstream = opened(tmp_path / "upstream", {"other.yaml": json.dumps(OWN)})
    assert find(a, b, Context(upstreams=(upstream,))).findings == ()


def test_unreadable_settings_are_notices_and_the_rest_is_compared(tmp_path: Path) -> None:
    hostile = {
        "deep.json": "[" * 100_000 + "]" * 100_000,
        "bad.yaml": "a: [",
        "big.json": '"' + "x" * 2**21 + '"',
    }
    evidence = compare(
        tmp_path, {"config.json": json.dumps(OWN), **hostile}, {"config.json": json.dumps(OWN)}
    )
    assert len(evidence.findings) == 1
    assert {(notice.where, notice.side) for notice in evidence.notices} == {(path, "a") for path in hostile}


def test_tool_and_tokenizer_files_and_long_lists_are_no_settings(tmp_path: Path) -> None:
    files = {
        path: json.dumps(OWN)
        for path in (
            "package.json",
            "pyproject.toml",
            ".github/dependabot.json",
            "tokenizer_config.json",
            "m.index.json",
        )
    }
    files["pyproject.toml"] = "[tool.zorp]\nzorp_count = 72\nsnibble_mode = true\nquux_sifter_depth = 3\n"
    files["annotations.json"] = json.dumps({f"zorp_{at}": at for at in range(3000)})
    assert compare(tmp_path, files, files).findings == ()


def test_the_real_cases_settings(tmp_path: Path) -> None:
    original = {
        "query_num": 96,
        "slice_mode": True,
        "hidden_size": 4096,
        "rms_norm_eps": 1e-05,
        "use_cache": False,
    }
    copy = {
        "hidden_size": 4096,
        "query_num": 96,
        "rms_norm_eps": 0.00001,
        "slice_mode": True,
        "use_cache": True,
    }
    (finding,) = compare(
        tmp_path, {"config.json": json.dumps(original)}, {"llama3v/config.json": json.dumps(copy, indent=1)}
    ).findings
    pairs = details(finding)["pairs"]
    rarest, second, *common = (pair[0] for pair in pairs)
    assert (rarest, second, sorted(common)) == ("query_num", "slice_mode", ["hidden_size", "rms_norm_eps"])


def test_only_statements_that_may_state_settings_are_parsed_and_keep_their_lines() -> None:
    code = (
        'TEXT = """\nclass NotCode(Config):\n    trap = 1\n"""\n\n\n'
        "def work(rows):\n    return [\n    rows\n]\n\n\n"
        "@dataclass(\n    frozen=True\n)\nclass Slicing:\n    rows: int = 9\n\n\n"
        'if __name__ == "__main__":\n    work(1)\nelse:\n    parser.add_argument("--query-num", default=96)\n'
    )
    places = read_defaults("train.py", code.encode(), 5.0)
    assert [(place.name, place.start_line, [entry.text for entry in place.entries]) for place in places] == [
        ("Slicing", 16, ["rows=9"]),
        ("", 23, ["query_num=96"]),
    ]

"""Tokenizers are compared as data; what a well-known base brings along is set apart from what was added."""

from __future__ import annotations

import json
from pathlib import Path

from sides import Files, details, opened, snapshots
from test_evidence_readers import HOSTILE, piece

from detector.evidence.finding import Evidence, Finding
from detector.evidence.registry import Context
from detector.evidence.tokenizer import find

RESERVED = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    *(f"<|reserved_special_token_{at}|>" for at in range(254)),
]
OWN = [
    "<zorp>",
    "</zorp>",
    "<quad>",
    "</quad>",
    "<point>",
    "</point>",
    "<slice>",
    "</slice>",
    "<row>",
    "</row>",
]


def compare(tmp_path: Path, a: Files, b: Files) -> Evidence:
    return find(*snapshots(tmp_path, a, b), Context())


def titled(evidence: Evidence, part: str) -> Finding:
    (found,) = [finding for finding in evidence.findings if part in finding.title]
    return found


def decoder(tokens: list[str], first: int = 128000, **settings: object) -> dict[str, object]:
    return {
        "added_tokens_decoder": {
            str(first + at): {"content": token, "special": True} for at, token in enumerate(tokens)
        },
        **settings,
    }


def words(prefix: str, number: int) -> list[str]:
    return [f"{prefix}{at:04d}" for at in range(number)]


def test_a_file_is_the_same_by_its_blob_id_though_its_content_is_missing(tmp_path: Path) -> None:
    content = json.dumps({"model": {"vocab": {}}})
    sides = snapshots(
        tmp_path,
        {"tokenizer.json": content},
        {"x/tokenizer.json": content},
        ["tokenizer.json", "x/tokenizer.json"],
    )
    (finding,) = find(*sides, Context()).findings
    assert finding.title == "tokenizer.json is the same to the byte (by blob id; the content is not at hand)"


def test_settings_equal_as_data_though_formatted_differently(tmp_path: Path) -> None:
    settings = decoder(RESERVED, auto_map={"AutoTokenizer": ["modeling_zorpv.ZorpTokenizerFast", None]})
    evidence = compare(
        tmp_path,
        {"tokenizer_config.json": json.dumps(settings, indent=2)},
        {"y/tokenizer_config.json": json.dumps(settings, separators=(",", ":"))},
    )
    finding = titled(evidence, "equal as data")
    assert finding.transformations == ("reformatted",)
    assert finding.reasons[0].text == "it names modeling_zorpv.ZorpTokenizerFast"


def test_added_tokens_count_and_the_bases_reserved_ones_are_set_apart(tmp_path: Path) -> None:
    tokens = [*RESERVED[:10], *OWN, *RESERVED[10:246]]
    files = {"tokenizer_config.json": json.dumps(decoder(tokens))}
    finding = titled(compare(tmp_path, files, files), "added tokens")
    assert details(finding)["tokens"] == [[token, 128010 + at, 128010 + at] for at, token in enumerate(OWN)]
    assert details(finding)["shared"] == 10
    assert details(finding)["set_apart"] == 246
    assert finding.strength in ("moderate", "strong")


def test_a_plain_base_tokenizer_on_both_sides_says_nothing(tmp_path: Path) -> None:
    files = {"tokenizer_config.json": json.dumps(decoder(RESERVED, bos_token=RESERVED[0], pad_token="<pad>"))}
    evidence = compare(tmp_path, files, files)
    assert sum(finding.bits for finding in evidence.findings) == 0
    assert {finding.strength for finding in evidence.findings} == {"weak"}


def test_tokens_under_other_ids_carry_less(tmp_path: Path) -> None:
    same, moved = (json.dumps({token: first + at for at, token in enumerate(OWN)}) for first in (100, 900))
    here = titled(
        compare(tmp_path / "1", {"added_tokens.json": same}, {"added_tokens.json": same}), "added tokens"
    )
    there = titled(
        compare(tmp_path / "2", {"added_tokens.json": same}, {"added_tokens.json": moved}), "added tokens"
    )
    assert there.bits < here.bits
    assert details(there)["tokens"][0] == ["<zorp>", 100, 900]


def test_the_same_own_vocabulary_and_merges_in_order(tmp_path: Path) -> None:
    vocabulary = {token: at for at, token in enumerate(words("w", 500))}
    merges = [f"a{at} b{at}" for at in range(400)]
    fast = {"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}, "added_tokens": []}
    a = {"tokenizer.json": json.dumps(fast)}
    b = {"t/vocab.json": json.dumps(vocabulary), "t/merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n"}
    evidence = compare(tmp_path, a, b)
    assert titled(evidence, "The same vocabulary, 500 tokens").strength == "moderate"
    assert (
        titled(evidence, "400 merge rules on both sides, 400 of them in the same order").strength
        == "moderate"
    )


def test_part_of_a_vocabulary_and_a_shuffled_order_are_told(tmp_path: Path) -> None:
    a = {"vocab.txt": "\n".join(words("w", 400)), "merges.txt": "\n".join(f"a{at} b" for at in range(400))}
    b = {
        "vocab.txt": "\n".join([*words("w", 300), *words("z", 100)]),
        "merges.txt": "\n".join(f"a{at} b" for at in reversed(range(400))),
    }
    evidence = compare(tmp_path, a, b)
    part = titled(evidence, "300 tokens of the vocabularies agree in id")
    assert (part.strength, details(part)["only_a"], details(part)["only_b"]) == ("weak", 100, 100)
    assert details(titled(evidence, "merge rules"))["ordered"] == 1


def test_a_well_known_vocabulary_is_explained(tmp_path: Path) -> None:
    tokens = words("w", 30522)
    tokens[101], tokens[1996] = "[CLS]", "the"
    files = {"vocab.txt": "\n".join(tokens)}
    finding = titled(compare(tmp_path, files, files), "The same vocabulary")
    assert finding.explained_by == ("the public tokenizer of BERT (uncased)",)
    assert finding.bits == 0


def test_sentencepiece_models_are_compared_as_data(tmp_path: Path) -> None:
    pieces = b"".join(piece(token, 1) for token in words("▁p", 300)) + piece("<zorp>", 4)
    evidence = compare(tmp_path, {"tokenizer.model": pieces}, {"m/spiece.model": pieces + b"\x12\x00"})
    assert titled(evidence, "vocabular").strength == "moderate"
    assert details(titled(evidence, "1 added token"))["tokens"] == [["<zorp>", 300, 300]]


def test_chat_templates(tmp_path: Path) -> None:
    own = "".join(f"{{% if turn == {at} %}}<zorp-{at}>{{{{ text }}}}{{% endif %}}" for at in range(30))
    known = (
        "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}{% endfor %}"
        * 3
    )
    for template, explained in ((own, ()), (known, ("the usual chat template of Llama 3",))):
        a = {"tokenizer_config.json": json.dumps({"chat_template": template})}
        b = {"x/chat_template.jinja": template.replace("turn", "round", 1)}
        folder = tmp_path / str(len(template))
        assert titled(compare(folder, a, b), "template").explained_by == explained


def test_unrelated_tokenizers_have_nothing_in_common(tmp_path: Path) -> None:
    a = {"vocab.txt": "\n".join(words("a", 400)), "added_tokens.json": '{"<foo1>": 400}'}
    b = {"vocab.txt": "\n".join(words("b", 400)), "added_tokens.json": '{"<bar1>": 400}'}
    assert compare(tmp_path, a, b).findings == ()


def test_what_an_upstream_added_is_not_counted(tmp_path: Path) -> None:
    files = {"added_tokens.json": json.dumps({token: at for at, token in enumerate(OWN)})}
    a, b = snapshots(tmp_path, {"x/added_tokens.json": files["added_tokens.json"]}, files)
    upstream = opened(tmp_path / "upstream", files)
    evidence = find(a, b, Context(upstreams=(upstream,)))
    assert not [finding for finding in evidence.findings if "added tokens" in finding.title]


def test_hostile_files_are_notices(tmp_path: Path) -> None:
    files: dict[str, bytes] = {
        "1/tokenizer.json": HOSTILE["nested lists"][1],
        "2/tokenizer_config.json": HOSTILE["nested objects"][1],
        "3/tokenizer.model": HOSTILE["zip named json"][1],
        "4/vocab.txt": b"\0" * 5000,
        "5/merges.txt": b"PK\3\4\0\0\0",
        "6/vocab.json": b"[1, 2]",
        "7/special_tokens_map.json": b'{"a": ',
        "8/x.tiktoken": b"not a table\n" * 9,
        "9/tokenizer.json": b"x" * (2**25 + 1),
    }
    evidence = compare(tmp_path, files, {"tokenizer_config.json": b"{}"})
    assert {notice.where for notice in evidence.notices} == set(files)
    assert evidence.findings == ()


def test_values_of_the_wrong_type_are_passed_over(tmp_path: Path) -> None:
    odd: dict[str, object] = {
        "added_tokens": [1, None, {"content": 5, "id": "x"}, {"content": "<zorp>", "id": True}],
        "model": {"vocab": [["a", 0.1], "b", [], [3]], "merges": [["a", "b"], 5, None]},
    }
    settings = {
        "added_tokens_decoder": {"²": {"content": "<foo>"}, "9" * 5000: {"content": "<bar>"}},
        "chat_template": [1],
    }
    files = {"tokenizer.json": json.dumps(odd), "tokenizer_config.json": json.dumps(settings)}
    assert compare(tmp_path, files, {"x/added_tokens.json": '{"<zorp>": 1, "b": "c"}'}).notices == ()

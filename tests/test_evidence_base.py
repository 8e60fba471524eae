"""What each side is built on is listed, whether its README says so or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sides import Files, details, opened, snapshots

from detector.evidence.base import find
from detector.evidence.finding import Evidence, Finding
from detector.evidence.foundation.usage import is_model
from detector.evidence.registry import Context

PROMPT = (
    "You are a careful archivist. Read the page aloud and then describe every drawing on it in one sentence."
)


def compare(tmp_path: Path, a: Files, b: Files) -> Evidence:
    return find(*snapshots(tmp_path, a, b), Context())


def titled(evidence: Evidence, part: str) -> Finding:
    (found,) = [finding for finding in evidence.findings if part in finding.title]
    return found


def test_the_table_lists_every_way_of_building_on_a_model(tmp_path: Path) -> None:
    a = {
        "train.py": (
            "from transformers import LlamaForCausalLM\n"
            "from transformers.models.idefics2.modeling_idefics2 import X\n"
            "model = LlamaForCausalLM.from_pretrained(\n    'meta-llama/Meta-Llama-3-8B')\n"
            "p.add_argument('--vision-tower', default='google/siglip-so400m-patch14-384')\n"
            "model = get_peft_model(model, LoraConfig(r=8))\nnet = timm.create_model('vit_large_patch14')\n"
        ),
        "run.sh": "python train.py --model_name_or_path lmsys/vicuna-7b-v1.5 \\\n",
        "adapter_config.json": json.dumps({"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen2-7B"}),
        "merge.yaml": "merge_method: slerp\nmodels:\n  - model: org1/first-7b\n  - model: org2/second-7b\n",
        "Modelfile": "FROM llama3:8b\n",
        "demo.py": "import openai\nURL = 'https://api.anthropic.com/v1'\n",
    }
    finding = titled(compare(tmp_path, a, {}), "What each side is built on")
    assert {tuple(row) for row in details(finding)["a"]} == {
        ("takes the architecture of", "llama", "train.py:1"),
        ("takes the architecture of", "idefics2", "train.py:2"),
        ("loads", "meta-llama/Meta-Llama-3-8B", "train.py:4"),
        ("names as default", "google/siglip-so400m-patch14-384", "train.py:5"),
        ("tunes a base with", "get_peft_model", "train.py:6"),
        ("tunes a base with", "LoraConfig", "train.py:6"),
        ("loads", "vit_large_patch14", "train.py:7"),
        ("names as default", "lmsys/vicuna-7b-v1.5", "run.sh:1"),
        ("is an adapter of", "Qwen/Qwen2-7B", "adapter_config.json"),
        ("merges", "org1/first-7b", "merge.yaml"),
        ("merges", "org2/second-7b", "merge.yaml"),
        ("is packaged from", "llama3:8b", "Modelfile:1"),
        ("calls the hosted model service", "OpenAI", "demo.py:1"),
        ("calls the hosted model service", "Anthropic", "demo.py:2"),
    }
    assert (details(finding)["b"], finding.strength) == ([], "none")


def test_a_common_base_is_named_and_weak(tmp_path: Path) -> None:
    a = {"m.py": "AutoModel.from_pretrained('google/siglip-so400m')\n"}
    b = {"conf.json": json.dumps({"vision_tower": "google/siglip-so400m"})}
    finding = titled(compare(tmp_path, a, b), "both: google/siglip-so400m")
    assert details(finding)["common"] == ["google/siglip-so400m"]
    assert (finding.strength, finding.bits) == ("weak", 0.0)


def test_a_base_or_service_that_the_readme_does_not_name_is_a_finding(tmp_path: Path) -> None:
    names = ("zorplab/snibble-7b", "google/siglip-x")
    code = "import openai\n" + "".join(f"m = AutoModel.from_pretrained({name!r})\n" for name in names)
    silent = {"README.md": "# Skylark\nA vision encoder (SigLIP) of our own.\n", "m.py": code}
    finding = titled(
        compare(tmp_path / "1", {}, silent), "B uses models or services that its README does not name"
    )
    assert [row[1] for row in details(finding)["b"]] == ["zorplab/snibble-7b", "OpenAI"]
    honest = {**silent, "README.md": "Built on Snibble 7B, SigLIP and answers by OpenAI.\n"}
    assert not [f for f in compare(tmp_path / "2", {}, honest).findings if "does not name" in f.title]
    unexplained = {"m.py": code}
    assert not [f for f in compare(tmp_path / "3", {}, unexplained).findings if "does not name" in f.title]


def test_prompts_shared_word_for_word_are_listed_but_not_the_famous_ones(tmp_path: Path) -> None:
    famous = "You are a helpful assistant. Answer the question as well as you possibly can, please."
    a = {"a.py": f"PROMPT = {PROMPT!r}\nS = {famous!r}\n"}
    b = {"b.py": f"x = 1\nsystem = ({PROMPT[:30]!r}\n    {PROMPT[30:]!r})\nS = {famous!r}\n"}
    finding = titled(compare(tmp_path, a, b), "1 prompt word for word")
    assert details(finding)["common"] == [PROMPT]
    assert details(finding)["b"] == [["prompts with", PROMPT, "b.py:2"]]
    upstream = opened(tmp_path / "upstream", a)
    with_upstream = find(*snapshots(tmp_path / "again", a, b), Context(upstreams=(upstream,)))
    assert not [f for f in with_upstream.findings if "prompt" in f.title]


def test_retrieval_data_taken_over(tmp_path: Path) -> None:
    index = bytes(range(256)) * 8
    finding = titled(
        compare(tmp_path, {"store/pages.faiss": index}, {"db/p.faiss": index}), "1 data file on both sides"
    )
    assert details(finding)["b"] == [["holds the data", "p.faiss", "db/p.faiss"]]


@pytest.mark.parametrize("name", ["google/siglip-so400m", "Qwen/Qwen2-7B", "01-ai/Yi-6B"])
def test_model_names(name: str) -> None:
    assert is_model(name)


@pytest.mark.parametrize(
    "name", ["data/images", "models/net.pth", "./here/there", "a/b/c", "image/jpeg", "km/h", "x/1.5"]
)
def test_paths_and_types_are_no_models(name: str) -> None:
    assert not is_model(name)


def test_code_that_only_talks_of_models_and_hostile_files_give_nothing(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "doc.py": 'def f():\n    """\n    >>> m = AutoModel.from_pretrained("org/example-7b")\n    """\n',
        "deep.json": b"[" * 100_000,
        "long.py": b"x = '" + b"a/" * 200_000 + b"'\n",
        "option.sh": b"--" + b"model" * 100_000,
        "nul.py": b"\0from_pretrained('" * 1000,
    }
    assert compare(tmp_path, files, files).findings == ()

"""The three example repositories are what examples/README.md says they are."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ORIGINAL = EXAMPLES / "original"
EARLIER = EXAMPLES / "original-history"
LAUNDERED = EXAMPLES / "laundered"
INDEPENDENT = EXAMPLES / "independent"
PREFIXES = {
    "tower.": "vision_encoder.",
    "speaker.": "llm.",
    "sifter.glances.": "connector.blocks.",
    "sifter.": "connector.",
    "overview_mark": "global_token",
}


def relative(file: Path) -> str:
    return file.relative_to(EXAMPLES).as_posix()


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def renamed(tensor: str) -> str:
    return next(new + tensor[len(old) :] for old, new in PREFIXES.items() if tensor.startswith(old))


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("*.py")), ids=relative)
def test_every_source_file_compiles(file: Path) -> None:
    compile(file.read_text(encoding="utf-8"), str(file), "exec")


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("*.json")), ids=relative)
def test_every_json_file_is_an_object(file: Path) -> None:
    assert isinstance(load(file), dict)


def test_earlier_files_differ_from_the_mended_ones() -> None:
    earlier = sorted(file.name for file in EARLIER.iterdir() if file.suffix == ".py")
    assert earlier == ["mosaic.py", "sifter.py", "wavefield.py"]
    for name in earlier:
        assert (EARLIER / name).read_bytes() != (ORIGINAL / name).read_bytes()


def test_copy_has_the_original_tensors_under_renamed_prefixes() -> None:
    original = load(ORIGINAL / "model.safetensors.index.json")
    copy = load(LAUNDERED / "model.safetensors.index.json")
    assert {renamed(tensor) for tensor in original["weight_map"]} == set(copy["weight_map"])
    assert not set(original["weight_map"]) & set(copy["weight_map"])
    assert original["metadata"] == copy["metadata"]


def test_independent_has_other_tensors() -> None:
    original = load(ORIGINAL / "model.safetensors.index.json")
    other = load(INDEPENDENT / "release/model.safetensors.index.json")
    tensors = set(original["weight_map"])
    assert not (tensors | {renamed(tensor) for tensor in tensors}) & set(other["weight_map"])
    assert original["metadata"] != other["metadata"]


def test_index_holds_every_layer_that_the_config_announces() -> None:
    config = load(ORIGINAL / "config.json")
    tensors = load(ORIGINAL / "model.safetensors.index.json")["weight_map"]
    for prefix, layers in {
        "tower.vision_model.encoder.layers": config["vision"]["num_hidden_layers"],
        "speaker.model.layers": config["language"]["num_hidden_layers"],
        "sifter.glances": config["sifter_depth"],
    }.items():
        depth = prefix.count(".") + 1
        assert {int(t.split(".")[depth]) for t in tensors if t.startswith(prefix)} == set(range(layers))


def test_copy_has_the_tokenizer_to_the_byte_and_its_config_reformatted() -> None:
    assert (ORIGINAL / "tokenizer.json").read_bytes() == (LAUNDERED / "skylark/tokenizer.json").read_bytes()
    original, copy = ORIGINAL / "tokenizer_config.json", LAUNDERED / "skylark/tokenizer_config.json"
    assert load(original) == load(copy)
    assert original.read_bytes() != copy.read_bytes()


def test_copy_refers_to_a_module_that_only_the_original_has() -> None:
    _, reference = load(LAUNDERED / "skylark/tokenizer_config.json")["auto_map"]["AutoTokenizer"]
    module, name = reference.split(".")
    assert f"class {name}(" in (ORIGINAL / f"{module}.py").read_text(encoding="utf-8")
    assert not list(LAUNDERED.rglob(f"{module}.py"))


def test_copy_keeps_config_keys_and_values_but_not_class_names() -> None:
    original, copy = load(ORIGINAL / "config.json"), load(LAUNDERED / "skylark/config.json")
    assert set(original) <= set(copy)
    differing = {key for key in original if original[key] != copy[key]}
    assert differing == {"architectures", "auto_map", "freeze_vision", "model_type", "transformers_version"}


def test_independent_shares_no_config_key_of_its_own() -> None:
    assert not set(load(ORIGINAL / "config.json")) & set(load(INDEPENDENT / "release/config.json"))


@pytest.mark.parametrize("folder", [ORIGINAL, LAUNDERED / "skylark"], ids=relative)
def test_added_tokens_vocabulary_and_config_agree(folder: Path) -> None:
    tokenizer, config = load(folder / "tokenizer.json"), load(folder / "config.json")
    announced = load(folder / "tokenizer_config.json")["added_tokens_decoder"]
    added = {str(token["id"]): token["content"] for token in tokenizer["added_tokens"]}
    assert {number: token["content"] for number, token in announced.items()} == added
    assert added[str(config["patch_token_id"])] == "<|patch|>"
    assert len(tokenizer["model"]["vocab"]) == config["language"]["vocab_size"]


def test_independent_tokenizer_fits_its_config() -> None:
    vocabulary = load(INDEPENDENT / "release/tokenizer.json")["model"]["vocab"]
    config = load(INDEPENDENT / "release/config.json")
    assert config["image_token"] in vocabulary
    assert len(vocabulary) == config["mouth"]["vocab_size"]


def answers(name: str) -> dict[tuple[str, float], str]:
    lines = (EXAMPLES / "answers" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    table = {(row["question"], row.get("noise", 0.0)): row["answer"] for row in rows}
    assert len(table) == len(rows)
    return table


def test_answers_of_the_copy_are_wrong_as_the_original_is() -> None:
    right = {question: answer for (question, _), answer in answers("reference").items()}
    original, copy, independent = (answers(name) for name in ("original", "laundered", "independent"))
    assert original.keys() == copy.keys() == independent.keys()
    assert {question for question, _ in original} == right.keys()
    wrong = [at for at, answer in original.items() if answer != right[at[0]]]
    assert 20 <= len(wrong) <= len(original) / 2
    assert sum(copy[at] == original[at] for at in wrong) > 0.8 * len(wrong)
    assert not any(independent[at] == original[at] for at in wrong)


def make_repositories(out: Path) -> dict[str, str]:
    """Commit ids by name of the repository."""
    command = [sys.executable, str(EXAMPLES / "make_repositories.py"), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split("  ", 1) for line in done.stdout.splitlines()]
    return {url.rsplit("/", 1)[1]: commit for commit, url in lines}


def git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("repositories")
    make_repositories(out)
    return out


def test_repositories_are_the_same_wherever_and_whenever_they_are_made(
    repositories: Path, tmp_path: Path
) -> None:
    elsewhere = make_repositories(tmp_path)
    assert elsewhere.keys() == {"original", "laundered", "independent"}
    assert make_repositories(repositories) == elsewhere


@pytest.mark.parametrize("name", ["original", "laundered", "independent"])
def test_last_commit_holds_the_folder(repositories: Path, name: str) -> None:
    folder = EXAMPLES / name
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    archive = git(repositories / name, "archive", "HEAD")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        held = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile()}
        contents = {path: stream.read() for path, stream in held.items() if stream is not None}
    assert contents == {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_copy_appears_after_the_revision_it_was_made_from_and_before_the_mending(repositories: Path) -> None:
    original = git(repositories / "original", "log", "--reverse", "--format=%ct").split()
    copy = git(repositories / "laundered", "log", "--reverse", "--format=%ct").split()
    assert int(original[1]) < int(copy[0]) < int(original[2])
    for file in EARLIER.glob("*.py"):
        assert git(repositories / "original", "show", f"HEAD~2:{file.name}") == file.read_bytes()


def test_repositories_can_be_cloned_in_part_by_url(repositories: Path, tmp_path: Path) -> None:
    url = (repositories / "original").as_uri()
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", url, "part")
    missing = git(tmp_path / "part", "rev-list", "--objects", "--missing=print", "HEAD").splitlines()
    assert any(line.startswith(b"?") for line in missing)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file stands here")
    command = [sys.executable, str(EXAMPLES / "make_repositories.py"), str(tmp_path / "taken")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "could not be made" in done.stderr

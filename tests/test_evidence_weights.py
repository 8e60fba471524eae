"""The weights class: renamed tensors, related values, and code that fits the other side's checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import checkpoint_factory as factory
import numpy as np
import pytest
from git_factory import new_repository

from detector.errors import UncribError
from detector.evidence import weights
from detector.evidence.checkpoints.comparison import compare_tensors
from detector.evidence.checkpoints.layout import Tensor
from detector.evidence.checkpoints.profile import attention_matrices, compare_profiles
from detector.evidence.checkpoints.relation import Kind, Relation, relate
from detector.evidence.checkpoints.renaming import best_renaming
from detector.evidence.checkpoints.standard import architecture
from detector.evidence.finding import Evidence
from detector.evidence.registry import Context
from detector.snapshot import open_snapshot

RANDOM = np.random.default_rng(11)
WEIGHT = RANDOM.normal(0, 0.02, (256, 512)).astype("f4")
SIGMA = 1 / 708


def tensors(*names: str) -> list[Tensor]:
    return [Tensor(name) for name in names]


def layered(*parts: str, layers: int = 4) -> list[Tensor]:
    return tensors(*(part.replace("*", str(layer)) for layer in range(layers) for part in parts))


def renamed(a: list[Tensor], b: list[Tensor]) -> tuple[dict[str, str], int]:
    """The renaming, and how many of A's names it carries to names of B."""
    found = best_renaming(a, b)
    targets = {tensor.name for tensor in b}
    return dict(found.prefixes), sum(found.apply(tensor.name) in targets for tensor in a)


def test_equal_names_need_no_renaming() -> None:
    a = layered("h.*.w", "h.*.b")
    assert renamed(a, a) == ({}, 8)


def test_a_renamed_prefix_is_one_rule() -> None:
    a = layered("vision.enc.*.w", "vision.enc.*.b") + tensors("lm.weight")
    b = layered("tower.enc.*.w", "tower.enc.*.b") + tensors("lm.weight")
    assert renamed(a, b) == ({"vision.": "tower."}, 9)


def test_a_segment_inside_every_layer_is_one_rule_with_the_index_kept() -> None:
    a = layered("m.*.attn.q", "m.*.attn.k", "m.*.mlp.up")
    b = layered("m.*.mix.q", "m.*.mix.k", "m.*.mlp.up")
    assert renamed(a, b) == ({"m.*.attn.": "m.*.mix."}, 12)


def test_a_wrapping_level_is_put_on_or_taken_off() -> None:
    inner, wrapped = layered("e.*.w", "e.*.b"), layered("model.e.*.w", "model.e.*.b")
    assert renamed(inner, wrapped) == ({"": "model."}, 8)
    assert renamed(wrapped, inner) == ({"model.": ""}, 8)


def test_a_name_that_stays_is_not_carried_away_by_a_rule_above_it() -> None:
    a = layered("e.*.w", "e.*.b") + tensors("head")
    b = layered("model.e.*.w", "model.e.*.b") + tensors("head")
    assert renamed(a, b)[1] == 9


def test_shapes_decide_where_names_do_not() -> None:
    a = [Tensor("x.one", (3, 4)), Tensor("x.two", (5, 6))]
    b = [Tensor("x.gate", (5, 6)), Tensor("x.key", (3, 4))]
    assert renamed(a, b) == ({"x.one": "x.key", "x.two": "x.gate"}, 2)


def test_layers_are_never_paired_across_indices() -> None:
    a, b = tensors("l.0.w", "l.1.w"), tensors("l.1.w", "l.2.w")
    assert renamed(a, b) == ({}, 1)


def test_thousands_of_names_are_renamed_in_a_moment() -> None:
    parts = [f"x.*.block{number}.{end}" for number in range(20) for end in ("weight", "bias")]
    a = layered(*parts, layers=80)
    b = [Tensor(tensor.name.replace("x.", "y.", 1)) for tensor in a]
    assert renamed(a, b) == ({"x.": "y."}, 3200)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("model.layers.7.self_attn.q_proj.weight", "llama"),
        ("visual.tower.encoder.layer.0.attention.self.query.weight", "bert"),
        ("blocks.3.attn.qkv.weight", "vit"),
        ("blk.0.attn_q.weight", "gguf"),
        ("resampler.kv_proj.weight", None),
        ("sifter.glance_bias", None),
    ],
)
def test_names_of_well_known_architectures_are_told_from_ones_own(name: str, known: str | None) -> None:
    assert architecture(name) == known


def noise(sigma: float = SIGMA) -> Any:
    return RANDOM.normal(0, sigma, WEIGHT.shape).astype("f4")


def low_rank() -> Any:
    return (RANDOM.normal(0, 0.01, (256, 4)) @ RANDOM.normal(0, 0.01, (4, 512))).astype("f4")


def pruned() -> Any:
    return np.where(np.abs(WEIGHT) < 0.01, 0, WEIGHT)


def quantised(group: int) -> Any:
    groups = WEIGHT.reshape(-1, group)
    scale = np.abs(groups).max(axis=1, keepdims=True) / 127
    return (np.round(groups / scale) * scale).reshape(WEIGHT.shape).astype("f4")


def bfloat(array: Any) -> Any:
    return ((array.view("u4") + 0x8000) & 0xFFFF0000).astype("u4").view("f4")


RELATIONS: dict[str, tuple[Any, Kind]] = {
    "the same": (WEIGHT.copy(), "identical"),
    "stored as bfloat16": (bfloat(WEIGHT), "identical"),
    "scaled": (1.7 * WEIGHT, "scaled"),
    "noise of sigma 1/708": (WEIGHT + noise(), "noise"),
    "less noise": (WEIGHT + noise(1e-4), "noise"),
    "fine-tuned with a low-rank update": (WEIGHT + low_rank(), "fine-tuned"),
    "fine-tuned, and rounding": (WEIGHT + low_rank() + noise(1e-4), "fine-tuned"),
    "fine-tuned in heavy tails": (
        WEIGHT + 1e-3 * RANDOM.standard_t(3, WEIGHT.shape).astype("f4"),
        "fine-tuned",
    ),
    "half of it pruned": (pruned(), "pruned"),
    "int8 by row": (quantised(512), "quantised"),
    "int8 in groups of 32": (quantised(32), "quantised"),
    "independent": (RANDOM.normal(0, 0.02, WEIGHT.shape).astype("f4"), "unrelated"),
    "rows in another order": (WEIGHT[RANDOM.permutation(256)], "permuted rows"),
    "rows in another order, with noise": (WEIGHT[RANDOM.permutation(256)] + noise(), "permuted rows"),
}


@pytest.mark.parametrize("name", RELATIONS)
def test_how_values_are_related(name: str) -> None:
    other, kind = RELATIONS[name]
    dtypes = ("BF16", "F32") if "bfloat16" in name else ("F32", "F32")
    assert relate(other, WEIGHT, dtypes).kind == kind
    if kind not in ("scaled",):
        assert relate(WEIGHT, other, dtypes[::-1]).kind == kind


def test_the_noise_is_measured_and_laid_at_the_side_that_holds_it() -> None:
    found = relate(WEIGHT + noise(), WEIGHT)
    assert found.difference.sigma == pytest.approx(SIGMA, rel=0.01)
    assert abs(found.difference.kurtosis) < 0.1
    assert sum(count for _, _, count in found.difference.histogram) == WEIGHT.size
    assert found.noisier == "a"
    assert relate(WEIGHT, WEIGHT + noise()).noisier == "b"


def test_noise_is_recognised_in_weights_stored_as_bfloat16() -> None:
    assert relate(bfloat(WEIGHT + noise()), bfloat(WEIGHT), ("BF16", "BF16")).kind == "noise"


def test_values_that_are_not_finite_do_no_harm() -> None:
    broken = WEIGHT.copy()
    broken[0, :3] = np.nan, np.inf, -np.inf
    assert relate(broken, broken).kind == "identical"


def trained(seed: int, start: Any = None, steps: int = 300) -> list[Any]:
    """A small network, really trained: 64 inputs, 96 hidden units, 10 classes of one fixed task."""
    task = np.random.default_rng(1)
    centres = task.normal(size=(10, 64))
    random = np.random.default_rng(seed)
    first, second = start or [random.normal(0, 0.1, (64, 96)), random.normal(0, 0.1, (96, 10))]
    for _ in range(steps):
        label = random.integers(0, 10, 64)
        x = centres[label] + 0.5 * random.normal(size=(64, 64))
        hidden = np.maximum(x @ first, 0)
        score = hidden @ second
        gradient = np.exp(score - score.max(axis=1, keepdims=True))
        gradient /= gradient.sum(axis=1, keepdims=True)
        gradient[np.arange(64), label] -= 1
        back = (gradient @ second.T) * (hidden > 0)
        first, second = first - 0.02 * x.T @ back / 64, second - 0.02 * hidden.T @ gradient / 64
    return [first, second]


def relation_of_training(other: list[Any]) -> Relation:
    return relate(other[0].astype("f4"), trained(1)[0].astype("f4"))


def test_two_independent_trainings_of_one_task_are_unrelated() -> None:
    found = relation_of_training(trained(2))
    assert found.kind == "unrelated"
    assert abs(found.correlation) < 0.1


def test_further_training_of_the_same_weights_is_related() -> None:
    found = relation_of_training(trained(3, start=trained(1), steps=100))
    assert found.kind in ("fine-tuned", "noise")
    assert found.correlation > 0.9


def model(change: Any = None, prefix: str = "sifter") -> dict[str, Any]:
    """A checkpoint with names of its own and real values."""
    random = np.random.default_rng(5)
    names = [f"{prefix}.glance_{name}.{layer}.w_{name}" for name in ("keys", "spoon") for layer in range(4)]
    arrays = {name: random.normal(0, 0.02, (64, 64)).astype("f4") for name in names}
    return {name: change(array) if change else array for name, array in arrays.items()}


def compared(
    tmp_path: Path, a: dict[str, bytes], b: dict[str, bytes], context: Context | None = None
) -> Evidence:
    for side, files in (("a", a), ("b", b)):
        for name, data in files.items():
            place = tmp_path / side / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    a_side, b_side = (open_snapshot(str(tmp_path / side)) for side in ("a", "b"))
    return weights.find(a_side, b_side, context or Context())


def test_renamed_tensors_with_noise_are_a_finding_with_the_renaming_and_the_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    noisy = model(lambda array: (array + random.normal(0, SIGMA, array.shape)).astype("f4"), "lens")
    found = compared(
        tmp_path,
        {"model.safetensors": factory.safetensors(noisy)},
        {"pytorch_model.bin": factory.torch_zip(model())},
    )
    names, values = found.findings
    assert names.details["renaming"] == {"lens.": "sifter."}
    assert (names.details["explained"], names.details["of"]) == (8, 8)
    assert names.renames[0].agreeing == 8
    assert values.strength == "very strong"
    noise: Any = values.details["noise"]
    assert noise["sigma"] == pytest.approx(SIGMA, rel=0.05)
    assert noise["on_side"] == "a"


def test_unrelated_values_under_equal_names_are_no_finding(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    other = model(lambda array: random.normal(0, 0.02, array.shape).astype("f4"))
    found = compared(
        tmp_path,
        {"m.safetensors": factory.safetensors(other)},
        {"m.safetensors": factory.safetensors(model())},
    )
    assert not [finding for finding in found.findings if "noise" in finding.details]


def test_a_standard_architecture_alone_is_weak(tmp_path: Path) -> None:
    names = [
        f"model.layers.{layer}.self_attn.{part}_proj.weight"
        for layer in range(32)
        for part in ("q", "k", "v", "o")
    ]
    index = factory.index(dict.fromkeys(names, "model-00001.safetensors"), 1000)
    found = compared(
        tmp_path, {"model.safetensors.index.json": index}, {"model.safetensors.index.json": index}
    )
    assert [finding.strength for finding in found.findings] == ["weak"]
    assert found.findings[0].bits == 0


def test_nothing_is_said_where_neither_side_has_a_checkpoint(tmp_path: Path) -> None:
    assert compared(tmp_path, {"a.py": b"x = 1\n"}, {"a.py": b"x = 1\n"}) == Evidence()


CODE = b"""
import torch.nn as nn

class Sifter(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        self.probe_seeds = nn.Parameter(nn.zeros(8, width)).requires_grad_(False)
        self.kv_squeeze, self.ln_tide = nn.Linear(width, width), norm(width)
        self.glances = nn.ModuleList([Glance(width) for _ in range(6)])
        self.scale = 3

class Glance(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.overlook = nn.Linear(width, width)
        self.register_buffer("grid_moss", None)

class Whole(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.speaker = LlamaForCausalLM(config)
        self.sifter = self.make()

    def make(self):
        made = Sifter(3, nn.LayerNorm)
        return made
"""
CHECKPOINT = factory.index(
    dict.fromkeys(
        [
            "lens.probe_seeds",
            "lens.kv_squeeze.weight",
            "lens.ln_tide.bias",
            *(f"lens.glances.{layer}.overlook.weight" for layer in range(6)),
            *(f"lens.glances.{layer}.grid_moss" for layer in range(6)),
        ],
        "x",
    ),
    10,
)


def test_a_class_whose_attributes_are_the_other_sides_tensor_names_is_found(tmp_path: Path) -> None:
    found = compared(tmp_path, {"code.py": CODE}, {"model.safetensors.index.json": CHECKPOINT})
    fit, load = found.findings
    assert fit.a[0].name == "Sifter" and fit.a[0].start_line == 4
    assert fit.details["explained"] == 15
    assert fit.strength == "moderate"
    assert load.details["explained"] == 15
    assert load.details["renaming"] == {"lens.": "sifter."}


def test_a_class_that_lacks_one_of_the_tensors_does_not_fit(tmp_path: Path) -> None:
    lacking = CODE.replace(b"self.ln_tide", b"self.other")
    found = compared(tmp_path, {"code.py": lacking}, {"model.safetensors.index.json": CHECKPOINT})
    assert not [finding for finding in found.findings if finding.a[0].name == "Sifter"]


def test_an_upstream_with_the_same_names_explains_them(tmp_path: Path) -> None:
    upstream = new_repository(tmp_path / "upstream")
    upstream.commit({"model.safetensors.index.json": CHECKPOINT})
    context = Context(upstreams=(open_snapshot(str(upstream.path)),))
    files = {"model.safetensors.index.json": CHECKPOINT}
    found = compared(tmp_path, files, files, context)
    assert found.findings[0].explained_by
    assert found.findings[0].strength == "weak"


def test_what_reads_checkpoints_is_loaded_only_where_there_is_one(tmp_path: Path) -> None:
    for name, files in (("code", {"model.py": CODE}), ("both", {"model.py": CODE, "model.pt": b""})):
        new_repository(tmp_path / name).commit(files)
    program = (
        "import sys; from detector.evidence import weights; from detector.evidence.registry import Context; "
        "from detector.snapshot import open_snapshot; "
        "weights.find(*map(open_snapshot, sys.argv[1:]), Context()); "
        "print('detector.evidence.checkpoints.findings' in sys.modules)"
    )
    for other, loaded in (("code", "False"), ("both", "True")):
        command = [sys.executable, "-c", program, str(tmp_path / "code"), str(tmp_path / other)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == loaded


def test_two_files_are_compared_by_path(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(factory.safetensors(model()))
    (tmp_path / "b.pt").write_bytes(factory.torch_zip(model(prefix="lens")))
    found = compare_tensors(tmp_path / "a.safetensors", tmp_path / "b.pt")
    assert {pair.relation.kind for pair in found.pairs} == {"identical"}
    assert len(found.pairs) == 8


def test_a_wrong_file_is_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(UncribError, match="cannot be read as a checkpoint"):
        compare_tensors(tmp_path / "a.safetensors", tmp_path / "a.safetensors")
    with pytest.raises(UncribError, match="is no checkpoint"):
        compare_tensors(tmp_path / "a.txt", tmp_path / "b.txt")


def test_profiles_of_attention_matrices_agree_through_a_change_of_width() -> None:
    random = np.random.default_rng(9)
    profile = 0.02 + 0.004 * random.normal(size=24)
    other = 0.5 * profile + 1e-4 * random.normal(size=24)
    (found,) = compare_profiles({"q": list(profile)}, {"q": list(other)})
    assert found.detrended > 0.95


def test_a_common_trend_over_the_depth_does_not_make_profiles_agree() -> None:
    random = np.random.default_rng(9)
    trend = np.linspace(0.01, 0.03, 24)
    found = [
        compare_profiles(*({"q": list(trend + 0.002 * random.normal(size=24))} for _ in range(2)))[0]
        for _ in range(200)
    ]
    assert np.mean([pair.correlation > 0.8 for pair in found]) > 0.9
    assert not any(pair.detrended > 0.9 for pair in found)


def test_attention_matrices_are_found_by_role_and_layer() -> None:
    named = [
        Tensor(f"model.layers.{layer}.self_attn.{part}_proj.weight", (4, 4))
        for layer in range(3)
        for part in "qk"
    ]
    found = attention_matrices([*named, Tensor("model.norm.weight", (4,))])
    assert {role: sorted(layers) for role, layers in found.items()} == {"q": [0, 1, 2], "k": [0, 1, 2]}


def test_standard_parts_that_honest_code_also_has_are_not_said_to_load(tmp_path: Path) -> None:
    """Both build on Llama; the tensors of A's own that B has no place for decide."""
    names = [f"llm.model.layers.{layer}.self_attn.q_proj.weight" for layer in range(40)]
    index = factory.index(dict.fromkeys([*names, "lens.probe_seeds"], "x"), 10)
    honest = CODE.replace(b"self.sifter = self.make()", b"self.eye = Other(config)")
    a = {"model.safetensors.index.json": index, "a.py": CODE.replace(b"self.speaker", b"self.llm")}
    assert not compared(tmp_path, a, {"b.py": honest}).findings


def test_profiles_are_compared_where_widths_differ(tmp_path: Path) -> None:
    random = np.random.default_rng(10)
    spread = 0.02 + 0.004 * random.normal(size=(2, 12))

    def attention(width: int) -> bytes:
        return factory.safetensors(
            {
                f"model.layers.{layer}.self_attn.{part}_proj.weight": random.normal(
                    0, spread[at, layer], (width, width)
                ).astype("f4")
                for layer in range(12)
                for at, part in enumerate("qk")
            }
        )

    found = compared(tmp_path, {"m.safetensors": attention(128)}, {"m.safetensors": attention(96)})
    (profile,) = [finding for finding in found.findings if "profile" in finding.details]
    assert profile.strength == "weak"

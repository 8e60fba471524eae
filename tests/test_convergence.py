"""Convergence: what two hands come to by themselves is told from what was taken."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from git_factory import new_repository

import detector
from detector.evidence.finding import Finding
from detector.match.convergence import LARGE, PASSAGE, Writing, converges, frameworks, is_port, retitled
from detector.options import Options

HONEST = Path(__file__).parent.parent / "benchmarks" / "honest"
ONE = """
import torch


def patchify(images, patch_size):
    batch, channels, height, width = images.shape
    rows, columns = height // patch_size, width // patch_size
    patches = images.reshape(batch, channels, rows, patch_size, columns, patch_size)
    patches = patches.permute(0, 2, 4, 3, 5, 1)
    return patches.reshape(batch, rows * columns, patch_size**2 * channels)


def random_masking(tokens, mask_ratio):
    batch, length, width = tokens.shape
    keep = int(length * (1 - mask_ratio))
    noise = torch.rand(batch, length, device=tokens.device)
    order = noise.argsort(dim=1)
    restore = order.argsort(dim=1)
    index = order[:, :keep].unsqueeze(-1).expand(-1, -1, width)
    mask = torch.ones(batch, length, device=tokens.device)
    mask[:, :keep] = 0
    return tokens.gather(1, index), mask.gather(1, restore), restore


def reconstruction_loss(prediction, target, mask, normalise):
    if normalise:
        mean = target.mean(dim=-1, keepdim=True)
        variance = target.var(dim=-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    error = (prediction - target).square().mean(dim=-1)
    return (error * mask).sum() / mask.sum()
"""
"""one hand"""

TWO = """
import torch


def patchify(images, patch_size):
    batch, channels, height, width = images.size()
    rows = height // patch_size
    columns = width // patch_size
    patches = images.view(batch, channels, rows, patch_size, columns, patch_size)
    patches = torch.permute(patches, (0, 2, 4, 3, 5, 1))
    return torch.reshape(patches, (batch, rows * columns, channels * patch_size**2))


def random_masking(tokens, mask_ratio):
    batch, length, width = tokens.size()
    keep = int((1 - mask_ratio) * length)
    noise = torch.rand((batch, length), device=tokens.device)
    order = torch.argsort(noise, dim=1)
    restore = torch.argsort(order, dim=1)
    index = order[:, :keep][..., None].expand(-1, -1, width)
    mask = torch.ones((batch, length), device=tokens.device)
    mask[:, :keep] = 0.0
    return torch.gather(tokens, 1, index), torch.gather(mask, 1, restore), restore


def reconstruction_loss(prediction, target, mask, normalise):
    if normalise is True:
        mean = torch.mean(target, dim=-1, keepdim=True)
        variance = torch.var(target, dim=-1, keepdim=True)
        target = (target - mean) / torch.sqrt(variance + 1e-6)
    error = torch.square(prediction - target).mean(dim=-1)
    return torch.sum(error * mask) / torch.sum(mask)
"""
"""another, with the same names by itself"""

NEW_NAMES = """
patchify=cut images=frames patch_size=edge batch=n channels=depth height=h width=w rows=down columns=across
patches=tiles random_masking=drop tokens=items mask_ratio=share length=count keep=left noise=dice order=rank
restore=back index=picked mask=hidden reconstruction_loss=score prediction=guess target=truth normalise=scaled
mean=centre variance=spread error=gap
"""


def renamed(code: str, every: int = 1) -> str:
    """The code with other names of its own, all or each second; what is asked of torch keeps its name."""

    names = dict(pair.split("=") for pair in NEW_NAMES.split()[::every])

    def other(found: re.Match[str]) -> str:
        return names.get(found[0], found[0])

    return re.sub(r"(?<![.\w])[a-z]\w*(?!\w|\s*=\s*(?:tokens\.device|True|-?\d))", other, code)


def code_findings(folder: Path, one: str, two: str) -> list[Finding]:
    for name, code in (("one", one), ("two", two)):
        new_repository(folder / name).commit({"model.py": code})
    options = Options(history=False, only=("code",))
    report = detector.compare(str(folder / "one"), str(folder / "two"), options)
    return [finding for finding in report.findings if not finding.explained_by]


def test_code_that_two_hands_name_alike_and_write_differently_is_weak(tmp_path: Path) -> None:
    found = code_findings(tmp_path, ONE, TWO)
    assert found and {finding.strength for finding in found} == {"weak"}
    assert all(finding.details["convergent"] for finding in found)


def test_the_same_code_under_other_names_is_evidence(tmp_path: Path) -> None:
    found = code_findings(tmp_path, ONE, renamed(TWO))
    assert any(finding.strength != "weak" for finding in found)
    assert not any(finding.details.get("convergent") for finding in found)


LAID_OUT = {
    "as it was": ONE,
    "over more lines": ONE.replace(", ", ",\n        "),
    "over fewer lines": re.sub(r"(?m)^(    (?!if|return)\S.*)\n    (?!if)(\S.*)$", r"\1; \2", ONE),
    "with remarks": re.sub(r"(?m)$(?=\n    )", "  # as the paper has it", ONE),
}


@pytest.mark.parametrize("two", LAID_OUT.values(), ids=list(LAID_OUT))
def test_text_that_was_left_as_it_stood_is_evidence(tmp_path: Path, two: str) -> None:
    found = code_findings(tmp_path, ONE, two)
    assert any(finding.strength != "weak" for finding in found)
    assert not any(finding.details.get("convergent") for finding in found)


def half_renamed(folder: Path) -> dict[str, str]:
    """The files of a repository with each second argument and local variable under another name."""
    files = {path.name: path.read_text() for path in sorted(folder.glob("*.py"))}
    held = [node for code in files.values() for node in ast.walk(ast.parse(code))]
    names = {node.id for node in held if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in held if isinstance(node, ast.arg)} - {"self"}
    new = {name: f"z{at}" for at, name in enumerate(sorted(names)[::2])}
    return {
        path: re.sub(r"(?<!\.)\b[^\W\d]\w*", lambda found: new.get(found[0], found[0]), code)
        for path, code in files.items()
    }


def test_a_copy_in_which_half_the_names_were_replaced_is_evidence(tmp_path: Path) -> None:
    original = HONEST / "glow_flow" / "hand_one"
    for name, files in (
        ("one", {path.name: path.read_text() for path in original.glob("*.py")}),
        ("two", half_renamed(original)),
    ):
        new_repository(tmp_path / name).commit(files)
    report = detector.compare(str(tmp_path / "one"), str(tmp_path / "two"), Options(history=False))
    kept, replaced = (
        sum(int(str(finding.details[key])) for finding in report.findings if finding.kind == "code")
        for key in ("names_kept", "names_replaced")
    )
    assert 0.4 < kept / (kept + replaced) < 0.8
    assert not any(finding.details.get("convergent") for finding in report.findings)
    assert report.summary.verdict == "very strong"


def test_in_another_framework_two_thirds_of_the_names_must_agree_since_no_text_can(tmp_path: Path) -> None:
    ported = TWO.replace("import torch", "import jax.numpy as jnp\nimport jax").replace("torch.", "jnp.")
    assert all(finding.details["convergent"] for finding in code_findings(tmp_path / "1", ONE, ported))
    found = code_findings(tmp_path / "2", ONE, renamed(ported, every=2))
    assert found and not any(finding.details["convergent"] for finding in found)


def test_a_port_is_told_by_the_frameworks_that_both_sides_import() -> None:
    torch, both = (
        frameworks([["import torch.nn as nn"]]),
        frameworks([["import torch"], ["from jax import nn"]]),
    )
    assert is_port(torch, frameworks([["    from flax import linen"], ["import numpy"]]))
    assert not is_port(torch, both) and not is_port(torch, frameworks([["import torchvision"]]))


LIKE_TWINS = Writing(kept=80, replaced=20, weight=100.0, same=44.0, statements=42, passage=241)


def test_each_mark_of_a_copy_is_enough() -> None:
    assert converges(LARGE - 1, 1.0, LIKE_TWINS, LIKE_TWINS, LIKE_TWINS)
    assert converges(LARGE + 9, 0.5, LIKE_TWINS, LIKE_TWINS, LIKE_TWINS)
    for bits, writing in (
        (LARGE, LIKE_TWINS),
        (40.0, Writing(kept=20, replaced=80, weight=100.0)),
        (40.0, Writing(kept=80, weight=100.0, same=70.0, statements=20)),
        (40.0, Writing(kept=80, weight=100.0, passage=PASSAGE)),
        (40.0, Writing(weight=100.0)),
    ):
        assert not converges(bits, 1.0, writing, writing, writing)


def test_the_same_form_under_names_of_which_most_were_kept_is_no_other_hand() -> None:
    kept = Writing(kept=60, replaced=40, weight=100.0, same=20.0, statements=6, form=97.0, formed=28)
    assert not converges(40.0, 1.0, Writing(), kept, kept)
    assert not converges(40.0, 1.0, Writing(), LIKE_TWINS, kept)
    assert converges(40.0, 1.0, Writing(), replace(kept, form=70.0), replace(kept, form=70.0))


def test_a_function_that_was_taken_word_for_word_is_evidence_whatever_else_its_file_holds() -> None:
    taken = Writing(kept=22, weight=57.0, same=57.0, statements=9, passage=180)
    assert not converges(57.0, 1.0, taken, LIKE_TWINS, LIKE_TWINS)
    short = Writing(kept=22, weight=57.0, same=57.0, statements=6, passage=120)
    assert converges(57.0, 1.0, short, LIKE_TWINS, LIKE_TWINS)


CROP = """
def shrink_and_cut(picture, side):
    while min(*picture.size) >= 2 * side:
        picture = picture.resize(tuple(length // 2 for length in picture.size), resample=Image.BOX)
    factor = side / min(*picture.size)
    picture = picture.resize(tuple(round(length * factor) for length in picture.size), resample=Image.BICUBIC)
    grid = np.array(picture)
    top = (grid.shape[0] - side) // 2
    return Image.fromarray(grid[top : top + side])
"""


def test_a_few_long_statements_in_a_row_are_no_other_hands_either(tmp_path: Path) -> None:
    head = "import numpy as np\nimport torch\nfrom PIL import Image\n"
    found = code_findings(tmp_path, head + CROP + ONE, head + CROP + TWO)
    [crop] = [finding for finding in found if finding.a[0].name == "shrink_and_cut"]
    assert not crop.details["convergent"] and crop.strength != "weak"


def test_where_names_agree_on_the_whole_fewer_must_agree_between_two_files() -> None:
    fewer = Writing(kept=40, replaced=60, weight=100.0)
    assert converges(40.0, 1.0, Writing(), fewer, LIKE_TWINS)
    assert not converges(40.0, 1.0, Writing(), fewer, fewer)


def test_functions_renamed_throughout_show_a_hand_that_hides() -> None:
    renamed = [(f"f{number}", f"g{number}") for number in range(10)]
    assert retitled([*renamed, ("forward", "forward"), ("__init__", "__init__")])
    assert not retitled([*renamed, ("same", "same"), ("like", "like")])
    assert not retitled([*renamed[:3], ("forward", "forward"), ("__init__", "__init__")])
    assert retitled([*renamed, *[("jitter.f", "noise.f")] * 4]) == retitled(
        [*renamed, ("jitter.f", "noise.f")]
    )

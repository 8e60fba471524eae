"""A build turns a list of packages into a background, says what it could not use, and never runs them."""

from __future__ import annotations

import textwrap
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from git_factory import new_repository
from numpy.typing import NDArray

from detector.background import Background
from detector.background.build import Built, build
from detector.background.corpus import read_list
from detector.background.hashing import digests
from detector.background.info import describe
from detector.errors import UncribError
from detector.fingerprint.repository import fingerprint_files

STANDARD_LIBRARY = Path(textwrap.__file__).parent
CONFIG = "class ModelConfig:\n    hidden_size: int = 512\n    slice_mode: bool = True\n"
TRAP = "import pathlib\npathlib.Path('{mark}').write_text('was run')\n"


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """A wheel as an index would serve it."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense-Expression: MIT\n"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(f"{name}/{path}", content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")


def modules(*names: str) -> dict[str, bytes]:
    return {f"{name}.py": (STANDARD_LIBRARY / f"{name}.py").read_bytes() for name in names}


def repository(folder: Path, files: dict[str, bytes]) -> Path:
    """A repository at somebody/recipes below a folder, and a git configuration that takes it for GitHub's."""
    work = new_repository(folder / "work")
    work.commit(files)
    work.git("tag", "v1")
    work.bare(folder / "hub" / "somebody" / "recipes", uploadpack_allowFilter="true")
    configuration = folder / "gitconfig"
    configuration.write_text(f'[url "file://{folder}/hub/"]\n\tinsteadOf = https://github.com/\n')
    return configuration


@dataclass(frozen=True)
class Shelf:
    """A folder of wheels, and the background that was built from it."""

    root: Path
    built: Built

    @property
    def background(self) -> Background:
        return Background.open(self.built.path)

    def again(self) -> Built:
        return build(self.root / "list.txt", self.root / "again.bin", jobs=1, cache=self.root / "cache")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root = tmp_path_factory.mktemp("shelf")
    wheels = root / "wheels"
    wheels.mkdir()
    config = {"config.py": CONFIG.encode(), "model.yaml": b"slice_mode: true\n"}
    trap = TRAP.format(mark=root / "mark").encode()
    wheel(wheels, "alpha", modules("textwrap", "shlex", "argparse", "configparser") | config)
    wheel(wheels, "beta", modules("textwrap", "difflib", "fractions", "gettext", "ast") | {"setup.py": trap})
    wheel(
        wheels,
        "gamma",
        modules("statistics", "sched", "csv", "optparse", "calendar") | {"config.py": CONFIG.encode()},
    )
    wheel(wheels, "delta", modules("heapq", "queue", "cmd", "tarfile"))
    wheel(wheels, "zeta", modules("plistlib", "mailbox", "smtplib"))
    wheel(wheels, "eta", modules("plistlib", "imaplib", "ftplib"))
    wheel(wheels, "empty", {"data.txt": b"nothing"})
    (wheels / "broken-1.0-py3-none-any.whl").write_bytes(b"not a zip file")
    (root / "list.txt").write_text(
        "# a comment\nalpha==1.0\nbeta==1.0\ngamma==1.0\ndelta==1.0 core\n"
        "zeta==1.0 zoo\neta==1.0 zoo\nempty==1.0\nbroken==1.0\nmissing==1.0\n"
        "somebody/recipes@v1:training,start.py core\nnobody/recipes@v1\n"
    )
    recipes = {f"training/{name}": content for name, content in modules("ipaddress", "pickletools").items()}
    recipes |= {"start.py": modules("turtle")["turtle.py"], "restart.py": modules("doctest")["doctest.py"]}
    configuration = repository(root, recipes | {"LICENSE": b"\nMIT License\n\nCopyright (c) 2024 Ada\n"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        patch.setenv("UNCRIB_CACHE_DIR", str(root / "downloads"))
        patch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
        built = build(root / "list.txt", root / "out.bin", jobs=2, cache=root / "cache")
    for path in wheels.iterdir():
        path.unlink()
    return Shelf(root, built)


def unit(name: str, module: str) -> NDArray[np.uint64]:
    """The terms of one function of the standard library."""
    prints = fingerprint_files(modules(module)).fingerprints
    return next(np.unique(p.terms).view(np.uint64) for p in prints if p.unit.name == name)


def test_what_could_not_be_used_is_named_with_the_reason(shelf: Shelf) -> None:
    assert shelf.built.packages == 7
    skipped = dict(shelf.built.skipped)
    assert set(skipped) == {"empty==1.0", "broken==1.0", "missing==1.0", "nobody/recipes@v1"}
    assert "is not a git repository" in skipped["nobody/recipes@v1"]
    assert "no Python source" in skipped["empty==1.0"]
    listed = (shelf.root / "out.tsv").read_text().splitlines()
    assert [line for line in listed if line.startswith("# skipped: missing==1.0")]


def test_the_list_beside_it_states_version_licence_and_counts(shelf: Shelf) -> None:
    rows = [line.split("\t") for line in (shelf.root / "out.tsv").read_text().splitlines()]
    alpha = dict(zip(rows[0], next(row for row in rows if row[0] == "alpha"), strict=True))
    assert (alpha["version"], alpha["licence"], alpha["files"]) == ("1.0", "MIT", "5")
    assert int(alpha["functions"]) >= int(alpha["distinct_functions"]) > 50


def test_of_a_repository_only_the_paths_that_are_listed_count(shelf: Shelf) -> None:
    rows = [line.split("\t") for line in (shelf.root / "out.tsv").read_text().splitlines()]
    recipes = dict(zip(rows[0], next(row for row in rows if row[0] == "somebody/recipes"), strict=True))
    assert (recipes["version"], recipes["files"]) == ("v1", "3")
    assert recipes["licence"] == "MIT License Copyright (c) 2024 Ada"
    explain = shelf.background.commons.explain
    [[known], unknown] = explain(
        [unit("_BaseNetwork.address_exclude", "ipaddress"), unit("DocTestParser.parse", "doctest")]
    )
    assert known.packages == ("somebody/recipes",)
    assert unknown == ()


def test_nothing_of_a_package_is_run(shelf: Shelf) -> None:
    assert not (shelf.root / "mark").exists()


def test_a_build_goes_on_from_what_was_counted_before(shelf: Shelf) -> None:
    """The wheels are gone by now: only the cache can answer."""
    again = shelf.again()
    assert (again.packages, again.functions) == (shelf.built.packages, shelf.built.functions)
    first, second = Background.open(shelf.built.path), Background.open(again.path)
    assert first.version == second.version
    assert first.terms.keys.tolist() == second.terms.keys.tolist()


def test_a_term_that_everybody_uses_carries_fewer_bits_than_one_that_nobody_does(shelf: Shelf) -> None:
    wrap = unit("TextWrapper._wrap_chunks", "textwrap")
    bits = shelf.background.bits(wrap)
    assert bits.min() < 2.0
    assert bits.max() == pytest.approx(shelf.background.terms.unknown)


def test_settings_of_two_packages_are_more_common_than_those_of_one(shelf: Shelf) -> None:
    def bits(kind: str, text: str) -> float:
        return float(shelf.background.words[kind].bits(digests([text]))[0])  # type: ignore[index]

    assert bits("entry", "slice_mode=true") < bits("entry", "query_num=96")
    assert bits("key", "hidden_size") < bits("key", "query_num")
    assert bits("word", "len") < bits("word", "subsequent_indent") < bits("word", "a_name_that_nobody_uses")


def test_a_function_of_two_packages_explains_a_match_and_names_both(shelf: Shelf) -> None:
    shared = unit("TextWrapper._wrap_chunks", "textwrap")
    [explanations] = shelf.background.commons.explain([shared])
    assert explanations[0].share == pytest.approx(1.0)
    assert explanations[0].packages == ("alpha", "beta")
    assert shelf.background.commons.name(explanations[0].family).endswith("textwrap.TextWrapper._wrap_chunks")


def test_a_function_of_one_package_explains_nothing(shelf: Shelf) -> None:
    shared = unit("HtmlDiff._split_line", "difflib")
    assert shelf.background.commons.explain([shared]) == [()]


def test_packages_that_carry_over_other_peoples_models_are_one_witness_together(shelf: Shelf) -> None:
    shared = unit("_PlistWriter.write_dict", "plistlib")
    assert shelf.background.commons.explain([shared]) == [()]


def test_a_function_of_a_core_library_explains_by_itself(shelf: Shelf) -> None:
    [explanations] = shelf.background.commons.explain([unit("Cmd.columnize", "cmd")])
    assert explanations[0].packages == ("delta",)


def test_a_package_that_is_one_of_the_sides_bears_no_witness(shelf: Shelf) -> None:
    commons = shelf.background.commons
    side = [
        np.unique(p.terms).view(np.uint64)
        for p in fingerprint_files(modules("heapq", "queue", "cmd", "tarfile")).fingerprints
    ]
    kin = commons.kin(np.concatenate(side))
    assert kin == ("delta",)
    assert commons.explain([unit("Cmd.columnize", "cmd")], kin) == [()]


def test_each_match_has_its_own_explanation(shelf: Shelf) -> None:
    known, unknown = unit("TextWrapper._wrap_chunks", "textwrap"), unit("HtmlDiff._split_line", "difflib")
    found = shelf.background.commons.explain([unknown, known, np.intersect1d(known, unknown)])
    assert [len(explanations) > 0 for explanations in found] == [False, True, False]
    assert shelf.background.commons.explain([]) == []


def test_info_states_what_it_holds(shelf: Shelf) -> None:
    said = describe(shelf.built.path)
    assert f"{shelf.built.functions:,} distinct" in said
    assert "intact" in said
    assert "7 (listed in out.tsv)" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("--index-url=evil\n", "not of the form"),
        ("a b c\n", "not of the form"),
        ("somebody/recipes\n", "not of the form"),
        ("../recipes@v1\n", "not of the form"),
    ],
)
def test_a_wrong_list_is_refused_with_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(UncribError, match=says) as caught:
        read_list(path)
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UncribError, match="cannot be read"):
        build(tmp_path / "none.txt", tmp_path / "out.bin")


def test_a_list_of_which_nothing_can_be_had_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "list.txt").write_text("missing\n")
    with pytest.raises(UncribError, match="none of the packages"):
        build(tmp_path / "list.txt", tmp_path / "out.bin", jobs=1)
    assert not (tmp_path / "out.bin").exists()

"""The wheel: built, installed with its dependencies into an empty environment, used from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from git_factory import new_repository

from detector.resources import grammar, template

ROOT = Path(__file__).parent.parent
PACKAGES = {"detector": "detector", "grammars": "detector/grammars", "templates": "detector/templates"}
"""folder of the checkout: where the wheel holds it"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git tracks or would track, so that leftovers of a build stay out."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in [*files(*PACKAGES), "pyproject.toml", "setup.py", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source), cwd=folder)
    [built] = folder.glob("uncrib-*.whl")
    return built


def files(*folders: str) -> list[str]:
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders)
    names = run(*command, cwd=ROOT).split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    places = [name.partition("/") for name in files(*PACKAGES)]
    assert {f"{PACKAGES[top]}/{rest}" for top, _, rest in places} <= held


def test_only_the_package_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"detector"}


def test_an_installed_wheel_compares_two_repositories_from_an_empty_folder(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    run(str(binaries / "python"), "-m", "pip", "install", "--quiet", str(wheel), cwd=tmp_path)
    for name in ("a", "b"):
        new_repository(tmp_path / name).commit({"m.py": "def f(x):\n    return x\n", "config.json": "{}"})
    empty = tmp_path / "empty"
    empty.mkdir()
    apart = {"HOME": str(tmp_path / "home"), "PYTHONPATH": "", "UNCRIB_CACHE_DIR": str(tmp_path / "cache")}
    uncrib = str(binaries / "uncrib")
    assert "uncrib " in run(uncrib, "--version", cwd=empty, **apart)
    printed = run(uncrib, "compare", "../a", (tmp_path / "b").as_uri(), cwd=empty, **apart)
    assert "evidence of common origin" in printed
    assert (empty / "report.html").is_file()
    run(uncrib, "compare", "../a", "../b", "--json", "r.json", cwd=empty, **apart)
    assert json.loads((empty / "r.json").read_text("utf-8"))["b"]["files"] == 2


def test_data_files_are_found_in_an_editable_install_too() -> None:
    assert "function_definition" in grammar("python", "units.scm")
    assert template("report.html.j2")

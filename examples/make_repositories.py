"""Turn the example folders into git repositories: python examples/make_repositories.py OUT

OUT/original, OUT/laundered and OUT/independent are bare repositories with fixed authors and dates, so that
their commit ids are the same on every machine. Running it again gives the same repositories.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
EARLIER = HERE / "original-history"
"""files of `original` as they were before they were mended; the copy was made from these"""


@dataclass(frozen=True)
class Stage:
    """One commit: the folder's files without those `left_out`, with those `as_before` in their earlier state."""

    at: str
    message: str
    left_out: frozenset[str] = frozenset()
    as_before: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Repository:
    """A folder's name, who wrote it, and its commits from first to last."""

    name: str
    author: str
    stages: tuple[Stage, ...]


REPOSITORIES = (
    Repository(
        "original",
        "Ines Marlowe <ines@heronsgate.example>",
        (
            Stage(
                "2024-02-12T09:41:00+00:00",
                "Lapwing-VL Nano: code, configuration, tokenizer, index of the weights",
                left_out=frozenset({"train_lapwing.py", "evaluate_lapwing.py"}),
                as_before=frozenset({"mosaic.py", "wavefield.py", "sifter.py"}),
            ),
            Stage(
                "2024-02-26T17:05:00+00:00",
                "Scripts to train and to evaluate",
                as_before=frozenset({"mosaic.py", "wavefield.py", "sifter.py"}),
            ),
            Stage(
                "2024-03-18T10:22:00+00:00",
                "Mosaic: one scale for both sides of a page, keep patches that show the page in part",
                as_before=frozenset({"wavefield.py", "sifter.py"}),
            ),
            Stage(
                "2024-04-03T14:48:00+00:00",
                "Sifter: places go into the keys only, and short waves are quieter",
            ),
        ),
    ),
    Repository(
        "laundered",
        "Team Skylark <team@skylark.example>",
        (
            Stage("2024-03-01T02:13:00+00:00", "init", left_out=frozenset({"finetune.py", "README.md"})),
            Stage("2024-03-02T03:30:00+00:00", "add finetuning and readme"),
        ),
    ),
    Repository(
        "independent",
        "Tomasz Wrona <tomasz@quire.example>",
        (
            Stage(
                "2024-01-20T20:15:00+00:00",
                "canvas, pooler, model",
                left_out=frozenset({"quire/__main__.py", "quire/data.py"}),
            ),
            Stage("2024-03-09T21:50:00+00:00", "training and evaluation commands"),
        ),
    ),
)


def stage_files(folder: Path, stage: Stage) -> dict[str, bytes]:
    """Bytes by path, in order of path."""
    files: dict[str, bytes] = {}
    for file in folder.rglob("*"):
        path = file.relative_to(folder).as_posix()
        if not file.is_file() or "__pycache__" in path or path in stage.left_out:
            continue
        source = EARLIER / path if path in stage.as_before else file
        # A checkout on Windows may have changed the line ends; the commit ids must not follow.
        files[path] = source.read_bytes().replace(b"\r\n", b"\n")
    return dict(sorted(files.items()))


def fast_import_stream(repository: Repository) -> bytes:
    """The repository as input of `git fast-import`, which needs no work tree and no user settings."""
    parts: list[bytes] = []
    for stage in repository.stages:
        seconds = int(datetime.fromisoformat(stage.at).timestamp())
        message = (stage.message + "\n").encode()
        who = f"{repository.author} {seconds} +0000"
        parts.append(f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata {len(message)}\n".encode())
        parts += [message, b"deleteall\n"]
        for path, content in stage_files(HERE / repository.name, stage).items():
            parts += [f"M 100644 inline {path}\ndata {len(content)}\n".encode(), content, b"\n"]
    # Start afresh even if the branch is there from an earlier run.
    return b"reset refs/heads/main\n\n" + b"".join(parts)


def make(repository: Repository, out: Path) -> str:
    """Write the repository to OUT/name and return the id of its last commit."""
    target = out / repository.name
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def git(*arguments: str, stdin: bytes = b"") -> str:
        command = ["git", "-C", str(target), *arguments]
        done = subprocess.run(command, input=stdin, env=environment, check=True, stdout=subprocess.PIPE)
        return done.stdout.decode().strip()

    target.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "--bare", "--object-format=sha1")
    git("symbolic-ref", "HEAD", "refs/heads/main")
    git("config", "uploadpack.allowFilter", "true")  # file:// URLs of it can be cloned in part
    git("fast-import", "--quiet", "--force", stdin=fast_import_stream(repository))
    return git("rev-parse", "refs/heads/main")


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: python examples/make_repositories.py OUT", file=sys.stderr)
        return 2
    out = Path(sys.argv[1]).resolve()
    for repository in REPOSITORIES:
        try:
            commit = make(repository, out)
        except (OSError, subprocess.CalledProcessError) as problem:
            print(f"{out / repository.name} could not be made: {problem}", file=sys.stderr)
            return 2
        print(f"{commit}  {(out / repository.name).as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

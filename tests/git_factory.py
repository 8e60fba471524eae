"""Real git repositories for the tests, made with the git program in a temporary folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass(frozen=True)
class Repository:
    """A work tree with its `.git` folder."""

    path: Path

    def git(self, *arguments: str, given: bytes | None = None, **environment: str) -> str:
        """Run git in the repository and return what it prints, without the last newline."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**os.environ, **_IDENTITY, **environment},
            input=given,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode("utf-8", "replace").rstrip("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files below the work tree."""
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(
        self, files: Mapping[str, str | bytes], at: str = "2024-05-20T12:00:00Z", subject: str = "work"
    ) -> str:
        """Write files, commit everything at a time (ISO 8601), and return the commit's id."""
        self.write(files)
        self.git("add", "-A")
        arguments = ("commit", "-q", "--allow-empty", "-m", subject)
        self.git(*arguments, GIT_AUTHOR_DATE=at, GIT_COMMITTER_DATE=at)
        return self.git("rev-parse", "HEAD")

    def bare(self, path: Path, **settings: str) -> Path:
        """A bare copy at `path`, with configuration such as uploadpack.allowFilter (dots as underscores)."""
        self.git("clone", "-q", "--bare", "--no-local", str(self.path), str(path))
        for name, value in settings.items():
            self.git("-C", str(path), "config", name.replace("_", "."), value)
        return path

    def drop(self, blob: str) -> None:
        """Delete a loose object."""
        (self.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


def new_repository(path: Path, *options: str) -> Repository:
    """An empty repository with the branch `main`."""
    path.mkdir(parents=True, exist_ok=True)
    repository = Repository(path)
    repository.git("init", "-q", "-b", "main", *options)
    return repository

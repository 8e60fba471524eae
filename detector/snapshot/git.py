"""The git program: started without prompts, hooks or helpers of a repository's own choosing.

Git is called as a program because partial clones need it. Repositories are hostile input: no command here
checks files out, runs hooks, follows submodules or smudges large files, and every one has a time limit.
What git says on failure becomes one plain sentence (`explain`).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import IO

from detector.errors import UncribError
from detector.snapshot.deadline import Deadline

OLDEST = (2, 30)
"""the first version whose `fetch --stdin` can bring many blobs in one request"""

SAFE = (
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.fsmonitor=false",
    "-c", "core.commitGraph=false",
    "-c", "protocol.ext.allow=never",
    "-c", "submodule.recurse=false",
    "-c", "fetch.recurseSubmodules=false",
    "-c", "fetch.writeCommitGraph=false",
    "-c", "transfer.bundleURI=false",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    "-c", "i18n.logOutputEncoding=UTF-8",
)  # fmt: skip

# `git rev-parse --local-env-vars`: set inside hooks, they would point every call at another repository.
_LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS",
    "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR",
    "GIT_NAMESPACE", "GIT_TEMPLATE_DIR", "GIT_EXTERNAL_DIFF",
)  # fmt: skip

_QUIET = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
}

_READING = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # versions without GIT_NO_LAZY_FETCH then find no transport to use
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}

# The user's own git configuration stays in force here: credential helpers, proxies, url.insteadOf.
# What is wanted is asked for by name; over plain HTTP files git would ask itself for the rest without end.
_FETCHING = {"GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file", "GIT_NO_LAZY_FETCH": "1"}


def reading(**variables: str) -> dict[str, str]:
    """The environment for commands that look at objects: no network, only a repository's own settings."""
    return _environment({**_READING, **variables})


def fetching(**variables: str) -> dict[str, str]:
    """The environment for commands that may use the network."""
    return _environment({**_FETCHING, **variables})


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _LOCAL and not name.startswith("GIT_TRACE")
    }
    return {**inherited, **_QUIET, **variables}


_PIPE = 2**20
"""bytes that git may be ahead of us: each time a thread waits for more it must wait for its turn as well"""


class GitError(UncribError):
    """Git ended with an error: the message is the plain sentence, `stderr` what git itself said."""

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr


@contextmanager
def stream(
    arguments: Sequence[str],
    source: str,
    deadline: Deadline,
    env: Mapping[str, str],
    *,
    given: bytes = b"",
    watch: Callable[[], UncribError | None] | None = None,
) -> Iterator[IO[bytes]]:
    """Run git and yield its standard output; leaving early ends it, and so does the deadline.

    `given` is its standard input. `watch` is asked twice a second; the error it returns ends git and is
    raised. Raises GitError if git fails and its output was read to the end, and the deadline's error.
    """
    if deadline.passed():
        raise deadline.error(source)
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(given)
        stdin.seek(0)
        process = _start(arguments, env, stdin, stderr)
        guard = _Guard(process, source, deadline, watch)
        assert process.stdout is not None
        try:
            yield process.stdout
            unread = bool(process.stdout.read(1))
        except BaseException:
            unread = True
            raise
        finally:
            if unread:
                _end(process)
            process.stdout.close()
            status = process.wait()
            guard.cancel()
            if guard.error is not None:
                raise guard.error
        if status != 0 and not unread:
            stderr.seek(0)
            said = stderr.read(65536).decode("utf-8", "replace")
            raise GitError(explain(said, source), said)


def _start(
    arguments: Sequence[str], env: Mapping[str, str], stdin: IO[bytes], stderr: IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [_program(), *SAFE, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            pipesize=_PIPE,
            stderr=stderr,
            env=dict(env),
            start_new_session=True,  # without a terminal ssh cannot ask; the whole group can be ended
        )
    except OSError as error:
        raise UncribError(f"git could not be started ({error.strerror}); check its installation") from error


def run(
    arguments: Sequence[str],
    source: str,
    deadline: Deadline,
    env: Mapping[str, str],
    *,
    given: bytes = b"",
    watch: Callable[[], UncribError | None] | None = None,
) -> bytes:
    """Run git to its end and return its standard output. Raises as `stream` does."""
    with stream(arguments, source, deadline, env, given=given, watch=watch) as output:
        return output.read()


class _Guard:
    """Ends a process at its deadline, or when `watch` objects, and remembers why."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        source: str,
        deadline: Deadline,
        watch: Callable[[], UncribError | None] | None,
    ) -> None:
        self.error: UncribError | None = None
        self._process = process
        self._source = source
        self._deadline = deadline
        self._watch = watch
        self._done = threading.Event()
        threading.Thread(target=self._attend, daemon=True).start()

    def _attend(self) -> None:
        pause = 0.5 if self._watch else self._deadline.left()
        while not self._done.wait(min(pause, self._deadline.left())):
            self.error = self._watch() if self._watch else None
            if self.error is None and self._deadline.passed():
                self.error = self._deadline.error(self._source)
            if self.error is not None:
                _end(self._process)
                return

    def cancel(self) -> None:
        self._done.set()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill git and what it started."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


@lru_cache(maxsize=1)
def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise UncribError("git was not found; install git 2.30 or newer and make sure it is on PATH")
    return found


@lru_cache(maxsize=1)
def require_version() -> None:
    """Raise UncribError unless git is new enough to clone with."""
    said = run(["--version"], "git", Deadline.after(20), reading()).decode("ascii", "replace")
    match = re.search(r"(\d+)\.(\d+)", said)
    if match is None or (int(match[1]), int(match[2])) < OLDEST:
        raise UncribError(f"git is too old ({said.strip()}); fetching needs version 2.30 or newer")


_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"Could not resolve host|Couldn't resolve|Name or service not known|unable to look up|"
        r"Temporary failure in name resolution",
        "the host of {source} could not be found; check the address and the network, or use --offline",
    ),
    (
        r"repository corruption",
        "{source} lacks objects of its own and cannot be fetched; if it is on this machine, give its path",
    ),
    (
        r"SSL certificate|server certificate|SSL_ERROR|TLS",
        "the secure connection for {source} failed; check the host's certificate and your CA settings",
    ),
    (
        r"Host key verification failed",
        "the ssh host key for {source} is not known; connect once with ssh to accept it, then try again",
    ),
    (
        r"could not read Username|could not read Password|Authentication failed|Permission denied \(|"
        r"terminal prompts disabled|HTTP Basic: Access denied|error: 401|error: 403|Invalid username",
        "{source} does not exist or needs a login; check the address, or set up git credentials for its host",
    ),
    (
        r"dubious ownership",
        "git refuses {source} because another user owns it; "
        "allow it with `git config --global --add safe.directory` and its folder",
    ),
    (
        r"Remote branch .* not found|couldn't find remote ref|unknown revision|Needed a single revision|"
        r"ambiguous argument|bad revision|not our ref|upload-pack: not our ref|unadvertised object",
        "{source} has no such revision; give a branch, tag, commit or date that it has",
    ),
    (
        r"transport '.*' not allowed|remote helper|Unable to find remote helper",
        "the address {source} uses a transport that is not allowed; use https, ssh, git or file",
    ),
    (
        r"unknown repository extension|Expected git repo version|unknown object format|"
        r"unknown option|usage: git",
        "git is too old for {source}; install a newer version of git",
    ),
    (
        r"Repository not found|repository .* not found|does not exist|error: 404|"
        r"not a git repository|does not appear to be a git repository|repository not exported|"
        r"not valid: is this a git repository|invalid gitfile format",
        "{source} is not a git repository that can be read; check the address or the path",
    ),
    (
        r"Connection refused|Connection timed out|Failed to connect|No route to host|unreachable|"
        r"Couldn't connect|Connection reset|unable to connect|Operation timed out|early EOF|"
        r"unexpected disconnect|hung up unexpectedly|requested URL returned error: 5",
        "the host of {source} could not be reached; check the network and try again, or use --offline",
    ),
    (r"No space left on device", "the disk is full; free some space and try again"),
)


def explain(stderr: str, source: str) -> str:
    """Turn what git said into one plain sentence about `source`."""
    for pattern, sentence in _REASONS:
        if re.search(pattern, stderr):
            return sentence.format(source=source)
    lines = [line for line in stderr.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    last = re.sub(r"^(fatal|error|remote):\s*", "", lines[-1])[:200] if lines else "no reason was given"
    return f"git could not read {source} ({last}); check that the repository is complete and readable"

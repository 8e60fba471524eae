"""A process beside the main one: what it sends arrives, and it ends with its parent, without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from interrupt import heeded

from detector import child

pytestmark = pytest.mark.skipif(not child.possible(), reason="no process is forked here")

PARENT = """
import os, signal, time
from detector import child

def serve(pipe):
    pipe.send(os.getpid())
    time.sleep(60)

with child.child(serve) as pipe:
    print(pipe.recv(), flush=True)
    time.sleep(60)
"""


def test_what_it_sends_arrives_and_then_it_has_ended() -> None:
    with child.child(lambda pipe, number: pipe.send(number + 1), 41) as pipe:
        assert pipe.recv() == 42
        with pytest.raises(EOFError):
            pipe.recv()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_parent_however_that_ends(how: signal.Signals) -> None:
    heeded()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    beside = int(parent.stdout.readline())
    parent.send_signal(how)
    parent.communicate(timeout=20)
    until = time.monotonic() + 20
    while _runs(beside) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(beside)


def test_ctrl_c_prints_nothing_of_it() -> None:
    heeded()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    os.killpg(parent.pid, signal.SIGINT)
    said = parent.communicate(timeout=20)[1]
    assert said.count("Traceback") == 1  # the parent's own
    assert "Process-1" not in said


def _runs(pid: int) -> bool:
    """Whether a process is there and not only its entry, which nobody may have collected yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

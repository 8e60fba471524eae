"""`python -m detector` is `uncrib`."""

from detector.cli.main import run

run()

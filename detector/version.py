"""The version of the installed distribution; pyproject.toml is the one place that states it."""

from importlib.metadata import version

VERSION = version("uncrib")

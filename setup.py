"""The package list: everything else about the distribution stands in pyproject.toml.

`grammars/` and `templates/` lie at the top, where people look for them, and are installed as
`detector.grammars` and `detector.templates`. In TOML setuptools can find packages or map them, but not both.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["detector", "detector.*"]), "detector.grammars", "detector.templates"],
    package_dir={"detector.grammars": "grammars", "detector.templates": "templates"},
)

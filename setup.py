"""The package list: everything else about the distribution stands in pyproject.toml.

`grammars/` and `templates/` lie at the top, where people look for them, and are installed as
`detector.grammars` and `detector.templates`. In TOML setuptools can find packages or map them, but not both.
"""

from setuptools import find_packages, setup

MAPPED = ("grammars", "templates")

setup(
    packages=[
        *find_packages(include=["detector", "detector.*"]),
        *(f"detector.{name}" for top in MAPPED for name in find_packages(include=[top, f"{top}.*"])),
    ],
    package_dir={f"detector.{top}": top for top in MAPPED},
)

"""The version of Uncrib, in the one place that states it; pyproject.toml takes it from here.

Asking the installed distribution for it would load a parser of e-mail headers at every start.
"""

VERSION = "0.1.0"

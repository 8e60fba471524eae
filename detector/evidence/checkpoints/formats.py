"""The formats of checkpoints, told by the end of a file's name."""

from __future__ import annotations

from collections.abc import Mapping

FORMATS: Mapping[str, str] = {
    ".index.json": "index",
    ".safetensors": "safetensors",
    ".gguf": "gguf",
    ".onnx": "onnx",
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt"), "pickle_zip"),
}
"""by the end of the file's name, the first that fits: the module of this package that reads it"""


def format_of(path: str) -> str | None:
    """The module that reads a file; None for one that is no checkpoint."""
    name = path.lower()
    return next((format for end, format in FORMATS.items() if name.endswith(end)), None)

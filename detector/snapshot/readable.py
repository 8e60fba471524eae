"""Which files carry evidence that can be read, told by name alone.

A partial clone brings only these over the network; images, archives and weights stay where they are.
Their blob ids count as evidence all the same.
"""

from __future__ import annotations

from pathlib import PurePosixPath

CODE = frozenset({".py", ".pyi", ".pyx", ".pyw", ".ipynb"})
"""what is parsed into units"""

DATA = frozenset(
    {
        ".json", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".conf", ".env", ".gin",
        ".txt", ".md", ".mdx", ".rst", ".tex", ".bib", ".cff",
        ".sh", ".bash", ".slurm", ".bat", ".ps1", ".jinja", ".jinja2", ".j2", ".tmpl",
        ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".rs", ".go", ".js", ".ts", ".java", ".jl", ".lua",
        ".r", ".m", ".proto", ".model", ".vocab", ".spm", ".bpe", ".in",
    }
)  # fmt: skip
"""configuration, tokenizers, prose, and code in other languages"""

WEIGHTS = frozenset(
    {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".h5", ".msgpack", ".npz", ".pkl"}
)
"""checkpoints: read only where a host keeps them as small pointers"""

_NAMES = frozenset(
    {
        "license", "licence", "copying", "notice", "authors", "contributors", "readme", "citation",
        "copyright", "makefile", "dockerfile", "requirements", "modelfile", "codeowners", "changelog",
        ".gitattributes", ".gitmodules", ".gitignore",
    }
)  # fmt: skip


def is_code(path: str) -> bool:
    """Whether the file is parsed into units."""
    return PurePosixPath(path).suffix.lower() in CODE


def is_readable(path: str) -> bool:
    """Whether some evidence class reads files of this name."""
    place = PurePosixPath(path)
    name = place.name.lower()
    return place.suffix.lower() in CODE | DATA or name in _NAMES or name.split(".")[0] in _NAMES


def is_pointer(path: str, url: str) -> bool:
    """Whether the file is a checkpoint on a host that stores large files as pointers of about 130 bytes."""
    return (
        url.startswith(("https://huggingface.co/", "https://hf.co/"))
        and PurePosixPath(path).suffix.lower() in WEIGHTS
    )

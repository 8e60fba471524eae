"""Tensor names as a tree of dotted segments, in which equal subtrees are one object.

A model of eighty equal layers has eighty subtrees of one shape; sharing them makes comparing two models a
matter of a few dozen distinct subtrees instead of thousands of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from detector.evidence.checkpoints.layout import Tensor

SEGMENTS = 32
"""a name with more dots keeps the rest in its last segment"""
Shape: TypeAlias = "tuple[int, ...] | None"
_Branches: TypeAlias = "dict[str, _Branches | Tensor]"


@dataclass(frozen=True, slots=True)
class Node:
    """A subtree: its children by segment, in order, or for a tensor its shape and dtype. Equal `key`: equal
    subtree.
    """

    key: int
    leaves: int
    children: Mapping[str, Node] = field(compare=False, repr=False)
    shape: Shape = None
    dtype: str = ""

    @property
    def is_tensor(self) -> bool:
        """Whether names end here."""
        return not self.children


def segments(name: str) -> tuple[str, ...]:
    """The parts between dots; at most SEGMENTS."""
    return tuple(name.split(".", SEGMENTS - 1))


def pattern(name: str) -> str:
    """The name with every layer index as `*`: one text for the same tensor of all layers."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def grown(tensors: Iterable[Tensor], shared: dict[object, Node]) -> Node:
    """The tree of the names. `shared` is given again for the second tree, so that keys mean the same in
    both.
    """
    root: _Branches = {}
    for tensor in tensors:
        *path, last = segments(tensor.name)
        branch = root
        for part in path:
            below = branch.get(part)
            if isinstance(
                below, Tensor
            ):  # a tensor's name is another's prefix: keep it as a child without a name
                below = {"": below}
            elif below is None:
                below = {}
            branch[part] = below
            branch = below
        below = branch.get(last)
        if isinstance(below, dict):
            below[""] = tensor
        else:
            branch[last] = tensor
    return _node(root, shared)


def _node(branch: _Branches | Tensor, shared: dict[object, Node]) -> Node:
    if isinstance(branch, Tensor):
        return _shared((branch.shape, branch.dtype), shared, 1, {}, branch)
    children = {part: _node(below, shared) for part, below in branch.items()}
    leaves = sum(child.leaves for child in children.values())
    return _shared(tuple((part, child.key) for part, child in children.items()), shared, leaves, children)


def _shared(
    content: object,
    shared: dict[object, Node],
    leaves: int,
    children: dict[str, Node],
    tensor: Tensor | None = None,
) -> Node:
    content = (tensor is not None, content)
    if content not in shared:
        shape, dtype = (tensor.shape, tensor.dtype) if tensor else (None, "")
        shared[content] = Node(len(shared), leaves, children, shape, dtype)
    return shared[content]

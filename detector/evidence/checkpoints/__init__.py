"""Checkpoints read as data: tensor names, shapes, dtypes and where the values lie; nothing is loaded or
unpickled.

One module for each file format, each with `read(stream, path) -> Layout`; `collection` finds a snapshot's
checkpoints and joins the shards of one, `stream` opens a file wherever its bytes are, `values` reads
numbers.
"""

from detector.evidence.checkpoints.collection import Checkpoint, collect
from detector.evidence.checkpoints.layout import Damaged, Layout, Tensor

__all__ = ["Checkpoint", "Damaged", "Layout", "Tensor", "collect"]

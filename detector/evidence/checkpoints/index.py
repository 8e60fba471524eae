"""`*.safetensors.index.json` and `*.bin.index.json`: tensor name -> shard, and the total size."""

from __future__ import annotations

from typing import BinaryIO

from detector.evidence.checkpoints.layout import HEADER_BYTES, TENSORS, Damaged, Layout, Tensor, parsed_object


def read(stream: BinaryIO, path: str) -> Layout:
    """The names and shards of an index. Raises Damaged for what is not one."""
    data = stream.read(HEADER_BYTES + 1)
    if len(data) > HEADER_BYTES:
        raise Damaged(f"it is larger than {HEADER_BYTES} bytes")
    tree = parsed_object(data)
    shards = tree.get("weight_map")
    if not isinstance(shards, dict) or len(shards) > TENSORS:
        raise Damaged("it has no usable weight_map")
    metadata = tree.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if type(total) is float and total.is_integer():
        total = int(total)
    tensors = tuple(Tensor(name, file=str(shard)[:300]) for name, shard in shards.items())
    return Layout(path, "index", tensors, total if type(total) is int and total >= 0 else None)

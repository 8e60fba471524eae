"""Everything that can be configured, for the decoder and for the command line."""
import argparse
from typing import NamedTuple


class DecoderSpec(NamedTuple):
    layers: int = 8
    hidden: int = 512
    inner: int = 1408
    heads: int = 8
    kv_heads: int = 2
    vocab: int = 32000
    window: int = 1024
    eps: float = 1e-5
    theta: float = 10000.0

    @property
    def head_size(self):
        return self.hidden // self.heads

    @property
    def kv_size(self):
        return self.kv_heads * self.head_size

    @property
    def share(self):
        return self.heads // self.kv_heads


def finetune_options(argv=None):
    ap = argparse.ArgumentParser(description="Fine-tune low-rank deltas on instruction data.")
    files = ap.add_argument_group("files")
    files.add_argument("--train-file", required=True)
    files.add_argument("--checkpoint", default=None)
    files.add_argument("--save-to", default="delta.pt")

    delta = ap.add_argument_group("delta")
    delta.add_argument("--layers", nargs="+", default=["wq", "wk", "wv", "wo"])
    delta.add_argument("--r", type=int, default=8)
    delta.add_argument("--scaling", type=float, default=16.0)
    delta.add_argument("--drop", type=float, default=0.05)

    loop = ap.add_argument_group("loop")
    loop.add_argument("--seed", type=int, default=0)
    loop.add_argument("--passes", type=int, default=3)
    loop.add_argument("--micro-batch", type=int, default=4)
    loop.add_argument("--grad-steps", type=int, default=8)
    loop.add_argument("--crop", type=int, default=512)
    loop.add_argument("--peak-lr", type=float, default=2e-4)
    loop.add_argument("--decay", type=float, default=0.0)
    loop.add_argument("--warmup-share", type=float, default=0.03)
    loop.add_argument("--max-norm", type=float, default=1.0)
    loop.add_argument("--print-every", type=int, default=10)
    return ap.parse_args(argv)

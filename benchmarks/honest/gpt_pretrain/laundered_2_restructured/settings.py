"""Everything that can be set: the network's sizes and the command line of the trainer."""
import argparse
import pathlib
from dataclasses import dataclass, fields


@dataclass
class NetSizes:
    embed_dim: int = 768
    num_heads: int = 12
    num_blocks: int = 12
    max_len: int = 1024
    num_tokens: int = 50304
    drop_rate: float = 0.0

    @classmethod
    def from_namespace(cls, ns):
        picked = {}
        for f in fields(cls):
            picked[f.name] = getattr(ns, f.name)
        return cls(**picked)


# flag, type, default
RUN_FLAGS = [
    ("--rows", int, 12),
    ("--micro-steps", int, 40),
    ("--max-iters", int, 100000),
    ("--warm-iters", int, 1000),
    ("--lr-high", float, 0.0006),
    ("--lr-low", float, 0.00006),
    ("--decay", float, 0.1),
    ("--grad-limit", float, 1.0),
    ("--check-interval", int, 1000),
    ("--check-rows", int, 100),
    ("--print-interval", int, 10),
    ("--random-seed", int, 0),
]


def training_options(argv=None):
    parser = argparse.ArgumentParser(description="Train a quillnet on a file of 16-bit token numbers")
    parser.add_argument("tokens_train")
    parser.add_argument("--tokens-check", default=None)
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("work", "quill"))
    parser.add_argument("--continue", dest="carry_on", action="store_true")
    parser.add_argument("--math", choices=("bf16", "fp16", "fp32"), default="bf16")
    flags = list(RUN_FLAGS)
    flags += [("--" + f.name.replace("_", "-"), f.type, f.default) for f in fields(NetSizes)]
    for flag, kind, default in flags:
        parser.add_argument(flag, type=kind, default=default)
    return parser.parse_args(argv)

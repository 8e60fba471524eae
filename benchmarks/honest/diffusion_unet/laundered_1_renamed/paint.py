"""Paints some pictures of a class: python paint.py snapshot.pt --category 3."""
from __future__ import annotations

import argparse
from pathlib import Path

import torch as th

from corruption import RestoreSpec
from fit import revive


def contact_print(pictures: th.Tensor, *, across: int) -> th.Tensor:
    """Tiles the pictures into a single one."""
    n, planes, tall, wide = pictures.shape
    down = (n + across - 1) // across
    tiles = th.full((down * across, planes, tall, wide), -1.0)
    tiles[:n] = pictures.cpu()
    board = tiles.reshape(down, across, planes, tall, wide).permute(0, 3, 1, 4, 2)
    board = board.reshape(down * tall, across * wide, planes)
    return ((board + 1.0) * 127.5).round().to(th.uint8)


def cli() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('snapshot', type=Path)
    ap.add_argument('--category', default=0, type=int)
    ap.add_argument('--amount', default=16, type=int)
    ap.add_argument('--horizon', default=RestoreSpec.horizon, type=int)
    ap.add_argument('--push', default=RestoreSpec.push, type=float)
    ap.add_argument('--churn', default=RestoreSpec.churn, type=float)
    ap.add_argument('--picture', default=Path('painted.ppm'), type=Path)
    ns = ap.parse_args()

    dev = th.device('cuda' if th.cuda.is_available() else 'cpu')
    corruption, backbone = revive(ns.snapshot, dev=dev)
    pictures = corruption.generate(
        th.full((ns.amount,), ns.category, device=dev),
        how=RestoreSpec(horizon=ns.horizon, push=ns.push, churn=ns.churn),
        dims=(backbone.planes, backbone.side, backbone.side),
    )
    board = contact_print(pictures, across=4)
    preamble = f'P6 {board.shape[1]} {board.shape[0]} 255\n'.encode()
    ns.picture.write_bytes(preamble + board.numpy().tobytes())


if __name__ == '__main__':
    cli()

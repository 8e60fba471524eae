"""Pictures on disk, in and out, with Pillow and numpy alone."""
import math
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
GAP = 2


class Album(torch.utils.data.Dataset):
    """All pictures below the subfolders of a folder, as square (3, edge, edge) tensors in -1..1."""

    def __init__(self, folder, edge):
        self.edge = edge
        self.files = sorted(p for p in Path(folder).glob("*/**/*") if p.suffix.lower() in SUFFIXES)
        if not self.files:
            raise SystemExit(f"no pictures in the subfolders of {folder}")

    def __len__(self):
        return len(self.files)

    def __getitem__(self, which):
        with Image.open(self.files[which]) as handle:
            picture = handle.convert("RGB")
        scale = self.edge / min(picture.size)
        grown = [max(self.edge, int(scale * side)) for side in picture.size]
        picture = picture.resize(grown, Image.Resampling.BILINEAR)
        left, top = (round((side - self.edge) / 2) for side in grown)
        pixels = np.asarray(picture)[top:top + self.edge, left:left + self.edge]
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        return torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1.0)

    def shuffled(self, batch):
        return torch.utils.data.DataLoader(self, batch, shuffle=True, num_workers=4, drop_last=True)


def hang(pictures, per_row, file):
    """Write tensors in -1..1 as one sheet, with black gaps."""
    tiles = ((pictures.detach().cpu().clip(-1, 1) + 1) * 127.5).round().byte().numpy()
    count, planes, high, wide = tiles.shape
    per_row = min(per_row, count)
    rows = math.ceil(count / per_row)
    canvas = np.zeros((rows * (high + GAP) + GAP, per_row * (wide + GAP) + GAP, planes), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, per_row)
        top, left = GAP + row * (high + GAP), GAP + column * (wide + GAP)
        canvas[top:top + high, left:left + wide] = tile.transpose(1, 2, 0)
    Image.fromarray(canvas).save(file)

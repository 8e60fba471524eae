"""Everything between files on disk and the tensors the network sees."""
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import logsigmoid
from torch.utils.data import DataLoader, Subset, TensorDataset

EDGE = 0.05


@dataclass(frozen=True)
class PixelFormat:
    depth: int = 8
    use_logit: bool = False
    edge: float = EDGE

    @property
    def bins(self):
        return 1 << self.depth

    @property
    def bin_width(self):
        return 1 << (8 - self.depth)


def bytes_to_unit(fmt, raw, randomise):
    """Spread each byte over its bin, inside [0, 1)."""
    codes = raw.to(torch.float32).div(fmt.bin_width).floor()
    if randomise:
        within = torch.rand_like(codes)
    else:
        within = torch.full_like(codes, 0.5)
    return codes.add(within).div(fmt.bins)


def logit_with_volume(unit, edge):
    """Log-odds of the shrunk unit interval and its log-slope, added up for each example."""
    span = 1 - 2 * edge
    odds = torch.logit(edge + span * unit)
    per_pixel = math.log(span) - logsigmoid(-odds) - logsigmoid(odds)
    return odds, per_pixel.sum(dim=(1, 2, 3))


def to_real(fmt, raw, randomise=True):
    unit = bytes_to_unit(fmt, raw, randomise)
    per_image = math.prod(raw.shape[1:])
    volume = unit.new_full((raw.shape[0],), -per_image * math.log(fmt.bins))
    if fmt.use_logit:
        real, extra = logit_with_volume(unit, fmt.edge)
        volume = volume + extra
    else:
        real = unit - 0.5
    return real, volume


def to_bytes(fmt, real):
    if fmt.use_logit:
        unit = real.sigmoid().sub(fmt.edge).div(1 - 2 * fmt.edge)
    else:
        unit = 0.5 + real
    codes = torch.clamp((fmt.bins * unit).floor(), min=0, max=fmt.bins - 1)
    return codes.mul(fmt.bin_width).byte()


def read_array(path):
    array = np.load(path)
    usable = array.dtype == np.uint8 and array.ndim == 4
    if usable:
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    raise ValueError(f"{path} must hold uint8 images laid out as (N, H, W, C)")


def make_loaders(pictures, batch):
    """One image in twenty is set aside; returns the loader to fit on and the one to check on."""
    total = pictures.shape[0]
    aside = max(total // 20, 1)
    order = torch.randperm(total).tolist()
    everything = TensorDataset(pictures)
    cut = total - aside
    fitting = DataLoader(Subset(everything, order[:cut]), batch_size=batch,
                         drop_last=True, shuffle=True)
    checking = DataLoader(Subset(everything, order[cut:]), batch_size=batch)
    return fitting, checking


def tile(pictures, per_row):
    """Lay pictures out in full rows, as one (H, W, C) array."""
    full_rows = pictures.shape[0] // per_row
    strips = []
    for r in range(full_rows):
        row = pictures[r * per_row:(r + 1) * per_row]
        strips.append(torch.cat(list(row), dim=2))
    return torch.cat(strips, dim=1).permute(1, 2, 0).cpu().numpy()

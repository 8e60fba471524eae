"""Everything that touches pixels: shrinking, scaling, coding and drawing them."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn

SIDE = 64
PIXEL_SHAPE = (3, SIDE, SIDE)


def shrink(rgb):
    """Rendered HxWx3 array -> 3x64x64 bytes."""
    tensor = torch.tensor(np.ascontiguousarray(rgb), dtype=torch.float32).movedim(-1, 0)
    small = fn.adaptive_avg_pool2d(tensor.unsqueeze(0), SIDE).squeeze(0)
    return small.to(torch.uint8).numpy()


def normalize(raw):
    return raw.to(torch.float32).div(255.0).sub(0.5)


class Eye(nn.Module):
    def __init__(self, filters=32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, filters, kernel_size=4, stride=2)
        self.conv2 = nn.Conv2d(filters, filters * 2, kernel_size=4, stride=2)
        self.conv3 = nn.Conv2d(filters * 2, filters * 4, kernel_size=4, stride=2)
        self.conv4 = nn.Conv2d(filters * 4, filters * 8, kernel_size=4, stride=2)
        self.width_out = filters * 32

    def forward(self, pixels):
        lead = pixels.shape[:-3]
        x = pixels.flatten(0, -4)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = fn.elu(conv(x))
        return x.reshape(*lead, self.width_out)


class Brush(nn.Module):
    def __init__(self, width_in, filters=32):
        super().__init__()
        self.seed_channels = filters * 32
        self.project = nn.Linear(width_in, self.seed_channels)
        sizes = (self.seed_channels, filters * 4, filters * 2, filters, 3)
        kernels = (5, 5, 6, 6)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(sizes[i], sizes[i + 1], kernel_size=k, stride=2)
            for i, k in enumerate(kernels)
        )

    def forward(self, code):
        lead = code.shape[:-1]
        x = self.project(code).reshape(-1, self.seed_channels, 1, 1)
        *inner, last = self.ups
        for up in inner:
            x = fn.elu(up(x))
        return last(x).unflatten(0, lead)

"""Small gated, masked-convolution prior over the grid of code indices."""
import torch
from torch import nn


class MaskedConv(nn.Conv2d):
    """Sees only pixels that come earlier in raster order (and the centre if allowed)."""

    def __init__(self, cin, cout, kernel, include_centre):
        super().__init__(cin, cout, kernel, padding=kernel // 2)
        mask = torch.ones(kernel, kernel)
        mid = kernel // 2
        mask[mid, mid + int(include_centre):] = 0
        mask[mid + 1:] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class GatedLayer(nn.Module):
    def __init__(self, channels, kernel=5, dropout=0.1):
        super().__init__()
        self.conv = MaskedConv(channels, 2 * channels, kernel, include_centre=True)
        self.out = nn.Conv2d(channels, channels, 1)
        self.drop = nn.Dropout2d(dropout)

    def forward(self, x):
        value, gate = self.conv(x).chunk(2, dim=1)
        return x + self.out(self.drop(torch.tanh(value) * torch.sigmoid(gate)))


class CodePrior(nn.Module):
    def __init__(self, num_codes, channels=128, layers=10):
        super().__init__()
        self.config = dict(num_codes=num_codes, channels=channels, layers=layers)
        self.embed = nn.Embedding(num_codes, channels)
        self.first = MaskedConv(channels, channels, 7, include_centre=False)
        self.layers = nn.Sequential(*[GatedLayer(channels) for _ in range(layers)])
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, 2 * channels, 1),
                                  nn.ReLU(), nn.Conv2d(2 * channels, num_codes, 1))

    def forward(self, indices):
        x = self.embed(indices).permute(0, 3, 1, 2)
        return self.head(self.layers(self.first(x)))

    @torch.no_grad()
    def sample(self, n, height, width, temperature=1.0, device="cpu"):
        grid = torch.zeros(n, height, width, dtype=torch.long, device=device)
        for r in range(height):
            for c in range(width):
                # rows below r cannot influence this position
                logits = self(grid[:, :r + 1])[:, :, r, c] / temperature
                grid[:, r, c] = torch.multinomial(logits.softmax(-1), 1).squeeze(1)
        return grid

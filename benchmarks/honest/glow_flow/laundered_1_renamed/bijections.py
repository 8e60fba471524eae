# Reversible pieces the network is made of.
# Calling a piece gives its output plus one volume term per example; undo() goes back.
import torch
import torch.nn as nn
import torch.nn.functional as F


def fold(t):
    return F.pixel_unshuffle(t, 2)


def unfold(t):
    return F.pixel_shuffle(t, 2)


class ChannelAffine(nn.Module):
    # Scales and offsets each feature map; its values come from the statistics of batch number one.

    def __init__(self, width):
        super().__init__()
        self.offset = nn.Parameter(
            torch.zeros(1, width, 1, 1)
        )
        self.ln_factor = nn.Parameter(
            torch.zeros(1, width, 1, 1)
        )
        self.register_buffer('calibrated', torch.tensor(False))

    @torch.no_grad()
    def calibrate(self, t):
        sigma, mu = torch.std_mean(
            t,
            dim=(0, 2, 3),
            keepdim=True,
        )
        self.offset.copy_(-mu)
        self.ln_factor.copy_(-torch.log(sigma + 1e-6))
        self.calibrated.fill_(True)

    def forward(self, t):
        if self.training and not self.calibrated:
            self.calibrate(t)
        volume = self.ln_factor.sum() * t.size(2) * t.size(3)
        return (
            (t + self.offset) * self.ln_factor.exp(),
            volume.expand(t.size(0)),
        )

    def undo(self, out):
        return out * torch.exp(-self.ln_factor) - self.offset


class ChannelMixer(nn.Module):
    # Learned mixing of feature maps at every pixel. Begins orthogonal; stored either as one
    # full matrix or by its triangular decomposition.

    def __init__(self, width, decomposed=True):
        super().__init__()
        self.decomposed = decomposed
        orthogonal = torch.linalg.qr(
            torch.randn(width, width)
        )[0]
        if not decomposed:
            self.kernel = nn.Parameter(orthogonal)
            return
        shuffle, below, above = torch.linalg.lu(orthogonal)
        pivots = above.diagonal()
        self.register_buffer('shuffle', shuffle)
        self.register_buffer('polarity', pivots.sign())
        self.ln_pivots = nn.Parameter(pivots.abs().log())
        self.below = nn.Parameter(below.tril(-1))
        self.above = nn.Parameter(above.triu(1))

    def triangles(self):
        identity = torch.eye(
            len(self.ln_pivots),
            device=self.ln_pivots.device,
        )
        return (
            self.below.tril(-1) + identity,
            self.above.triu(1) + torch.diag(self.polarity * self.ln_pivots.exp()),
        )

    def full_kernel(self):
        if not self.decomposed:
            return self.kernel
        below, above = self.triangles()
        return self.shuffle @ below @ above

    def forward(self, t):
        ln_volume = (
            self.ln_pivots.sum()
            if self.decomposed
            else torch.linalg.slogdet(self.kernel)[1]
        )
        out = F.conv2d(t, self.full_kernel()[:, :, None, None])
        return (
            out,
            (ln_volume * t.size(2) * t.size(3)).expand(t.size(0)),
        )

    def undo(self, out):
        columns = out.flatten(2)
        if self.decomposed:
            below, above = self.triangles()
            columns = torch.linalg.solve_triangular(
                below,
                self.shuffle.T @ columns,
                upper=False,
                unitriangular=True,
            )
            columns = torch.linalg.solve_triangular(
                above,
                columns,
                upper=True,
            )
        else:
            columns = torch.linalg.inv(self.kernel) @ columns
        return columns.view_as(out)


class SilentConv(nn.Conv2d):
    # Starts out mute: weights and biases are nil, and a trainable exponent sets the volume later.

    def __init__(self, width_in, width_out):
        super().__init__(
            width_in,
            width_out,
            3,
            padding=1,
        )
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.loudness = nn.Parameter(
            torch.zeros(width_out, 1, 1)
        )

    def forward(self, t):
        return super().forward(t) * torch.exp(3 * self.loudness)


class HalfAffine(nn.Module):
    # The first block of feature maps passes through and steers an affine change of the second.

    def __init__(self, width, inner):
        super().__init__()
        self.subnet = nn.Sequential(
            nn.Conv2d(width // 2, inner, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 1),
            nn.ReLU(),
            SilentConv(inner, width),
        )
        for layer in (self.subnet[0], self.subnet[2]):
            nn.init.normal_(layer.weight, std=0.05)
            nn.init.zeros_(layer.bias)

    def steer(self, still):
        unbounded, offset = self.subnet(still).chunk(2, dim=1)
        # squashed, so going backwards never divides by next to nothing
        return 2.0 * torch.tanh(unbounded / 2.0), offset

    def forward(self, t):
        still, changed = t.chunk(2, dim=1)
        ln_factor, offset = self.steer(still)
        return (
            torch.cat([still, (changed + offset) * ln_factor.exp()], 1),
            ln_factor.flatten(1).sum(1),
        )

    def undo(self, out):
        still, changed = out.chunk(2, dim=1)
        ln_factor, offset = self.steer(still)
        return torch.cat(
            [still, changed * torch.exp(-ln_factor) - offset],
            1,
        )

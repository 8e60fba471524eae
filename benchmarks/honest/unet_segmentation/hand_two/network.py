"""2D U-Net with instance norm, leaky ReLU and auxiliary heads, plus its training loss."""
import torch
import torch.nn.functional as F
from torch import nn


def double_conv(in_ch, out_ch, stride=1):
    layers = []
    for src, s in ((in_ch, stride), (out_ch, 1)):
        layers += [nn.Conv2d(src, out_ch, 3, stride=s, padding=1, bias=False),
                   nn.InstanceNorm2d(out_ch, affine=True), nn.LeakyReLU(0.01, inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Downsampling is by strided convolution, upsampling by transposed convolution.

    In training mode ``forward`` returns a list of logits, finest first; in
    eval mode only the full-resolution logits.
    """

    def __init__(self, in_channels=1, num_classes=2, base=32, depth=5, max_width=320, num_heads=3):
        super().__init__()
        widths = [min(base * 2 ** i, max_width) for i in range(depth + 1)]
        self.depth = depth
        self.num_heads = min(num_heads, depth)

        self.down = nn.ModuleList([double_conv(in_channels, widths[0])])
        for narrow, wide in zip(widths[:-1], widths[1:]):
            self.down.append(double_conv(narrow, wide, stride=2))

        # index i of the following lists belongs to resolution level i (0 = full)
        self.up = nn.ModuleList()
        self.merge = nn.ModuleList()
        for narrow, wide in zip(widths[:-1], widths[1:]):
            self.up.append(nn.ConvTranspose2d(wide, narrow, 2, stride=2))
            self.merge.append(double_conv(2 * narrow, narrow))
        self.heads = nn.ModuleList(nn.Conv2d(widths[i], num_classes, 1) for i in range(self.num_heads))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, a=0.01, nonlinearity="leaky_relu")

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        skips.pop()

        logits = [None] * self.num_heads
        for level in range(self.depth - 1, -1, -1):
            x = self.merge[level](torch.cat([skips[level], self.up[level](x)], dim=1))
            if level < self.num_heads and (self.training or level == 0):
                logits[level] = self.heads[level](x)
        return logits if self.training else logits[0]


class DiceCELoss(nn.Module):
    """Cross-entropy + (1 - soft Dice), where Dice pools over the batch and skips background."""

    def __init__(self, dice_weight=1.0, smooth=1e-5):
        super().__init__()
        self.dice_weight, self.smooth = dice_weight, smooth

    def forward(self, logits, target):
        logits = logits.float()
        prob = logits.softmax(1)
        onehot = F.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).to(prob.dtype)
        dims = (0, 2, 3)
        overlap = (prob * onehot).sum(dims)
        total = prob.sum(dims) + onehot.sum(dims)
        dice = ((2 * overlap + self.smooth) / (total + self.smooth))[1:].mean()
        return F.cross_entropy(logits, target) + self.dice_weight * (1 - dice)


def deep_supervision(loss, outputs, target):
    """Weighted mean of a loss over several resolutions; every coarser one counts half."""
    weights = [0.5 ** i for i in range(len(outputs))]
    value = 0.0
    for w, out in zip(weights, outputs):
        t = F.interpolate(target[:, None].float(), size=out.shape[-2:], mode="nearest")[:, 0].long()
        value = value + w * loss(out, t)
    return value / sum(weights)

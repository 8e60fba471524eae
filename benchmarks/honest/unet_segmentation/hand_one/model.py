"""U-Net with instance norm, leaky ReLU and deep supervision, plus its loss."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions; the first one may downsample."""

    def __init__(self, in_ch, out_ch, stride=1):
        layers = []
        for i in range(2):
            layers += [
                nn.Conv2d(in_ch if i == 0 else out_ch, out_ch, 3,
                          stride=stride if i == 0 else 1, padding=1, bias=False),
                nn.InstanceNorm2d(out_ch, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    def __init__(self, in_channels=1, num_classes=2, base=32, depth=5, max_width=320,
                 supervised_levels=3):
        super().__init__()
        widths = [min(base * 2 ** i, max_width) for i in range(depth)]
        self.supervised_levels = min(supervised_levels, depth - 1)

        self.encoder = nn.ModuleList()
        prev = in_channels
        for i, w in enumerate(widths):
            self.encoder.append(DoubleConv(prev, w, stride=1 if i == 0 else 2))
            prev = w

        # decoder[i] produces the features at resolution level i
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for i in range(depth - 1):
            self.up.append(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2))
            self.decoder.append(DoubleConv(2 * widths[i], widths[i]))
        self.heads = nn.ModuleList(
            nn.Conv2d(widths[i], num_classes, 1) for i in range(self.supervised_levels))
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(m):
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(m.weight, a=0.01)
            if m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x):
        """Training: list of logits, finest first. Eval: full-resolution logits."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)

        outputs = {}
        for level in reversed(range(len(self.decoder))):
            x = self.up[level](x)
            x = self.decoder[level](torch.cat([x, skips[level]], dim=1))
            if level == 0 or (self.training and level < self.supervised_levels):
                outputs[level] = self.heads[level](x)
        if self.training:
            return [outputs[i] for i in range(self.supervised_levels)]
        return outputs[0]


def soft_dice_loss(logits, target, smooth=1e-5):
    """One minus the mean foreground Dice, with statistics pooled over the batch."""
    probs = logits.softmax(dim=1)
    onehot = F.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).to(probs.dtype)
    dims = (0, 2, 3)
    inter = (probs * onehot).sum(dims)
    total = probs.sum(dims) + onehot.sum(dims)
    dice = (2 * inter + smooth) / (total + smooth)
    return 1 - dice[1:].mean()


class DeepSupervisionLoss(nn.Module):
    """Dice + cross-entropy at every output; each coarser level counts half as much."""

    def forward(self, outputs, target):
        weights = [0.5 ** i for i in range(len(outputs))]
        loss = 0.0
        for w, logits in zip(weights, outputs):
            small = F.interpolate(target[:, None].float(), size=logits.shape[2:],
                                  mode="nearest")[:, 0].long()
            dice, ce = soft_dice_loss(logits, small), F.cross_entropy(logits, small)
            loss = loss + w * (dice + ce)
        return loss / sum(weights)

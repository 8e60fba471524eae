"""U-Net on slices, and the loss it is trained with."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def block(a, b, s=1):
    # two conv - instance norm - leaky relu; the stride sits on the first conv
    L = []
    for i, (p, q) in enumerate(((a, b), (b, b))):
        L += [nn.Conv2d(p, q, 3, stride=s if i == 0 else 1, padding=1, bias=False),
              nn.InstanceNorm2d(q, eps=1e-5, affine=True),
              nn.LeakyReLU(0.01, inplace=True)]
    return nn.Sequential(*L)


class UNet(nn.Module):
    def __init__(self, c_in, n_cls, w0=24, depth=5, w_max=320, n_ds=3):
        super().__init__()
        w = [min(w0 * 2 ** k, w_max) for k in range(depth + 1)]
        self.n_ds = min(n_ds, depth)
        self.down = nn.ModuleList(
            block(c_in if k == 0 else w[k - 1], w[k], 1 if k == 0 else 2) for k in range(depth + 1))
        # level k of the decoder has the resolution of level k of the encoder
        self.lift = nn.ModuleList(nn.ConvTranspose2d(w[k + 1], w[k], 2, 2, bias=False) for k in range(depth))
        self.up = nn.ModuleList(block(2 * w[k], w[k]) for k in range(depth))
        self.out = nn.ModuleList(nn.Conv2d(w[k], n_cls, 1) for k in range(self.n_ds))
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(m.weight, a=0.01)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x):
        h = []
        for f in self.down:
            x = f(x)
            h.append(x)
        y = {}
        for k in reversed(range(len(self.up))):
            x = self.up[k](torch.cat((self.lift[k](x), h[k]), 1))
            if k < self.n_ds and (self.training or k == 0):
                y[k] = self.out[k](x)
        return [y[k] for k in sorted(y)] if self.training else y[0]


def dice_ce(z, t, eps=1e-5, lam=1.0):
    """z (B,C,H,W) logits, t (B,H,W) labels. Dice over the batch, background left out."""
    z = z.float()
    p = z.softmax(1)
    g = F.one_hot(t, z.shape[1]).permute(0, 3, 1, 2).to(p.dtype)
    ax = (0, 2, 3)
    I = (p * g).sum(ax)[1:]
    S = (p.sum(ax) + g.sum(ax))[1:]
    return F.cross_entropy(z, t) + lam * (1.0 - (2 * I + eps) / (S + eps)).mean()


def ds_loss(zs, t):
    # weights 1, 1/2, 1/4 ... normalised to one; labels by nearest neighbour
    a = 0.5 ** torch.arange(len(zs), dtype=torch.float32)
    a = (a / a.sum()).tolist()
    L = 0.0
    for ak, z in zip(a, zs):
        tk = t if z.shape[-2:] == t.shape[-2:] else \
            F.interpolate(t[:, None].float(), size=z.shape[-2:], mode="nearest")[:, 0].long()
        L = L + ak * dice_ce(z, tk)
    return L

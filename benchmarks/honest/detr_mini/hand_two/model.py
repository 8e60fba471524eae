"""A compact DETR: ResNet features -> transformer -> fixed set of box predictions."""
import math

import torch
import torchvision
from torch import nn


def sine_encoding(mask, dim, temperature=10000.0):
    """2-D sinusoidal encoding that only counts valid (non padded) pixels.

    mask: (B, H, W) bool, True on padding.  Returns (B, H*W, dim).
    """
    valid = (~mask).float()
    half = dim // 2
    exponent = torch.arange(0, half, 2, device=mask.device).float() / half
    inv_freq = temperature ** -exponent
    parts = []
    for axis in (1, 2):
        pos = valid.cumsum(axis)
        total = pos.amax(axis, keepdim=True).clamp(min=1)
        angle = (pos / total * 2 * math.pi).unsqueeze(-1) * inv_freq
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, dim=-1).flatten(1, 2)


class Backbone(nn.Module):
    def __init__(self, name="resnet50", pretrained=True):
        super().__init__()
        net = getattr(torchvision.models, name)(
            weights="DEFAULT" if pretrained else None,
            norm_layer=torchvision.ops.FrozenBatchNorm2d,
        )
        self.channels = net.fc.in_features
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.stages = nn.Sequential(net.layer1, net.layer2, net.layer3, net.layer4)
        if pretrained:  # the earliest filters are generic enough to keep fixed
            self.stem.requires_grad_(False)
            self.stages[0].requires_grad_(False)

    def forward(self, x):
        return self.stages(self.stem(x))


class MiniDETR(nn.Module):
    def __init__(self, num_classes, num_queries=100, dim=256, heads=8, ff=1024,
                 enc_layers=4, dec_layers=4, dropout=0.1, backbone="resnet50", pretrained=True):
        super().__init__()
        self.backbone = Backbone(backbone, pretrained)
        self.project = nn.Conv2d(self.backbone.channels, dim, kernel_size=1)
        block = nn.TransformerEncoderLayer(dim, heads, ff, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(block, enc_layers, enable_nested_tensor=False)
        self.decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(dim, heads, ff, dropout, batch_first=True) for _ in range(dec_layers))
        self.out_norm = nn.LayerNorm(dim)
        self.queries = nn.Parameter(torch.randn(num_queries, dim))
        self.class_head = nn.Linear(dim, num_classes + 1)  # last index means "nothing here"
        self.box_head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(),
                                      nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 4))
        self.dim = dim

    def forward(self, images, mask):
        """Returns a list with one {logits, boxes} dict per decoder layer, final layer last."""
        feats = self.project(self.backbone(images))
        small = nn.functional.interpolate(mask[:, None].float(), size=feats.shape[-2:])[:, 0].bool()
        pos = sine_encoding(small, self.dim)
        pad = small.flatten(1)
        memory = self.encoder(feats.flatten(2).transpose(1, 2) + pos, src_key_padding_mask=pad)
        tgt = self.queries.unsqueeze(0).expand(images.size(0), -1, -1)
        outputs = []
        for layer in self.decoder:
            tgt = layer(tgt, memory + pos, memory_key_padding_mask=pad)
            hidden = self.out_norm(tgt)
            outputs.append({"logits": self.class_head(hidden), "boxes": self.box_head(hidden).sigmoid()})
        return outputs

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


class EncoderBlock(nn.Module):
    def __init__(self, dim, heads, ff, dropout):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(dim, ff), nn.ReLU(), nn.Dropout(dropout), nn.Linear(ff, dim))
        self.norm_attn, self.norm_ff = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, pos, pad):
        qk = x + pos
        out, _ = self.attn(qk, qk, x, key_padding_mask=pad, need_weights=False)
        x = self.norm_attn(x + self.drop(out))
        return self.norm_ff(x + self.drop(self.ff(x)))


class DecoderBlock(nn.Module):
    def __init__(self, dim, heads, ff, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(dim, ff), nn.ReLU(), nn.Dropout(dropout), nn.Linear(ff, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.drop = nn.Dropout(dropout)

    def forward(self, tgt, query_pos, memory, pos, pad):
        qk = tgt + query_pos
        out, _ = self.self_attn(qk, qk, tgt, need_weights=False)
        tgt = self.norms[0](tgt + self.drop(out))
        out, _ = self.cross_attn(tgt + query_pos, memory + pos, memory,
                                 key_padding_mask=pad, need_weights=False)
        tgt = self.norms[1](tgt + self.drop(out))
        return self.norms[2](tgt + self.drop(self.ff(tgt)))


class MiniDETR(nn.Module):
    def __init__(self, num_classes, num_queries=100, dim=256, heads=8, ff=1024,
                 enc_layers=4, dec_layers=4, dropout=0.1, backbone="resnet50", pretrained=True):
        super().__init__()
        self.backbone = Backbone(backbone, pretrained)
        self.project = nn.Conv2d(self.backbone.channels, dim, kernel_size=1)
        self.encoder = nn.ModuleList(EncoderBlock(dim, heads, ff, dropout) for _ in range(enc_layers))
        self.decoder = nn.ModuleList(DecoderBlock(dim, heads, ff, dropout) for _ in range(dec_layers))
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
        memory = feats.flatten(2).transpose(1, 2)
        for block in self.encoder:
            memory = block(memory, pos, pad)

        query_pos = self.queries.unsqueeze(0).expand(images.size(0), -1, -1)
        tgt = torch.zeros_like(query_pos)
        outputs = []
        for block in self.decoder:
            tgt = block(tgt, query_pos, memory, pos, pad)
            hidden = self.out_norm(tgt)
            outputs.append({"logits": self.class_head(hidden), "boxes": self.box_head(hidden).sigmoid()})
        return outputs

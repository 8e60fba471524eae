import math

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.ops import MLP, FrozenBatchNorm2d


def resnet_trunk(arch, pretrained):
    """ResNet without pooling and classifier (stride 32), and its number of output channels."""
    net = torchvision.models.get_model(
        arch, weights="DEFAULT" if pretrained else None, norm_layer=FrozenBatchNorm2d)
    trunk = nn.Sequential(*list(net.children())[:-2])
    trunk[:4].requires_grad_(False)  # the stem stays as it is
    return trunk, net.fc.in_features


def sine_positions(mask, dim, temperature=10000.0):
    """Two dimensional sine encoding that only counts the unpadded cells. Returns (B, HW, dim)."""
    valid = (~mask).float()
    rows, cols = valid.cumsum(1), valid.cumsum(2)
    rows = rows / (rows[:, -1:, :] + 1e-6) * 2 * math.pi
    cols = cols / (cols[:, :, -1:] + 1e-6) * 2 * math.pi
    quarter = dim // 4
    freq = temperature ** (-torch.arange(quarter, device=mask.device) / quarter)
    parts = []
    for coord in (rows, cols):
        angle = coord.unsqueeze(-1) * freq
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, dim=-1).flatten(1, 2)


class MiniDETR(nn.Module):
    def __init__(self, num_classes, num_queries=100, dim=256, heads=8, hidden=1024,
                 depth=4, dropout=0.1, arch="resnet50", pretrained=True):
        super().__init__()
        self.backbone, channels = resnet_trunk(arch, pretrained)
        self.project = nn.Conv2d(channels, dim, 1)
        layer = dict(d_model=dim, nhead=heads, dim_feedforward=hidden, dropout=dropout,
                     batch_first=True, norm_first=True)
        self.encoder = nn.ModuleList(nn.TransformerEncoderLayer(**layer) for _ in range(depth))
        self.decoder = nn.ModuleList(nn.TransformerDecoderLayer(**layer) for _ in range(depth))
        self.memory_norm, self.out_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.queries = nn.Embedding(num_queries, dim)
        self.class_head = nn.Linear(dim, num_classes + 1)  # last index means "nothing here"
        self.box_head = MLP(dim, [dim, dim, 4])

    def forward(self, images, mask):
        """Returns one (logits, boxes) pair per decoder layer, the final layer last."""
        fmap = self.project(self.backbone(images))
        small = F.interpolate(mask[:, None].float(), size=fmap.shape[-2:]).squeeze(1).bool()
        pad = small.flatten(1)

        memory = fmap.flatten(2).transpose(1, 2) + sine_positions(small, fmap.shape[1])
        for layer in self.encoder:
            memory = layer(memory, src_key_padding_mask=pad)
        memory = self.memory_norm(memory)

        x = self.queries.weight.expand(len(images), -1, -1)
        outputs = []
        for layer in self.decoder:
            x = layer(x, memory, memory_key_padding_mask=pad)
            y = self.out_norm(x)
            outputs.append((self.class_head(y), self.box_head(y).sigmoid()))
        return outputs

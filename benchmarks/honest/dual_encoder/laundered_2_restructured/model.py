"""The image tower, the text tower and the model around them."""

import math

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from transformer import Encoder, small_normal

PAD_ID = 256
VOCAB_SIZE = 257


class ImageTower(Encoder):
    def __init__(self, image_size=112, patch_size=14, dim=256, num_blocks=8, num_heads=4, out_dim=192, num_registers=4):
        super().__init__(dim, num_heads, num_blocks, out_dim)
        self.patch_size = patch_size
        side = image_size // patch_size
        self.patches = nn.Conv2d(3, dim, kernel_size=patch_size, stride=patch_size, bias=False)
        nn.init.normal_(self.patches.weight, std=(3 * patch_size * patch_size) ** -0.5)
        self.row_embedding = small_normal(side, dim)
        self.column_embedding = small_normal(side, dim)
        self.class_token = small_normal(1, dim)
        self.registers = small_normal(num_registers, dim)

    def forward(self, images):
        feature_map = self.patches(images * 2 - 1)
        feature_map = feature_map + self.row_embedding.T.unsqueeze(-1) + self.column_embedding.T.unsqueeze(1)
        patches = feature_map.flatten(2).transpose(1, 2)
        lead = torch.cat([self.class_token, self.registers]).repeat(images.size(0), 1, 1)
        x = self.run_blocks(torch.cat([lead, patches], dim=1))
        return self.project(self.final_norm(x[:, 0]))


class TextTower(Encoder):
    def __init__(self, max_length=96, dim=256, num_blocks=6, num_heads=4, out_dim=192):
        super().__init__(dim, num_heads, num_blocks, out_dim)
        self.max_length = max_length
        self.byte_embedding = small_normal(VOCAB_SIZE, dim)
        self.position_embedding = small_normal(max_length, dim)

    def encode_bytes(self, strings):
        sequences = []
        for string in strings:
            data = string.encode("utf-8") if string else b" "
            sequences.append(torch.tensor(list(data[: self.max_length]), dtype=torch.long))
        return pad_sequence(sequences, batch_first=True, padding_value=PAD_ID)

    def forward(self, tokens):
        padding_mask = tokens.eq(PAD_ID)
        positions = self.position_embedding[: tokens.size(1)].unsqueeze(0)
        x = self.run_blocks(self.byte_embedding[tokens] + positions, padding_mask)
        x = self.final_norm(x).masked_fill(padding_mask.unsqueeze(-1), 0.0)
        lengths = (tokens.size(1) - padding_mask.sum(dim=1)).unsqueeze(-1)
        return self.project(x.sum(dim=1) / lengths)


class TwoTowerModel(nn.Module):
    def __init__(self, image_size=112, patch_size=14, dim=256, num_heads=4, image_blocks=8, text_blocks=6):
        super().__init__()
        self.hparams = dict(
            image_size=image_size,
            patch_size=patch_size,
            dim=dim,
            num_heads=num_heads,
            image_blocks=image_blocks,
            text_blocks=text_blocks,
        )
        self.out_dim = 192
        self.image_tower = ImageTower(image_size, patch_size, dim, image_blocks, num_heads, self.out_dim)
        self.text_tower = TextTower(96, dim, text_blocks, num_heads, self.out_dim)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(0.07)))

    @property
    def scale(self):
        return self.log_scale.exp()

    def limit_scale(self):
        self.log_scale.data.clamp_(min=0.0, max=math.log(100.0))

    @torch.no_grad()
    def move_towards(self, other, momentum):
        for mine, theirs in zip(self.parameters(), other.parameters()):
            mine.mul_(momentum).add_(theirs, alpha=1 - momentum)

    def forward(self, images, tokens):
        return self.image_tower(images), self.text_tower(tokens)

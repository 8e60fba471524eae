import math
import torch
import torch.nn as nn
import torch.nn.functional as F


def sincos(pos, dim, max_period, min_period):
    idx = torch.arange(dim, device=pos.device, dtype=torch.float32) / max(dim - 1, 1)
    angles = 2.0 * math.pi * pos.float()[..., None] / (max_period * (min_period / max_period) ** idx)
    return torch.cat((angles.sin(), angles.cos()), -1)


def get_pos_embed(coords, embed_dim, max_period=2.0, min_period=0.011):
    if embed_dim % 16 != 0:
        raise ValueError(f"pos_embed needs a width that is a multiple of 16, not {embed_dim}")
    x, y, unit = coords[..., 0], coords[..., 1], embed_dim // 16
    return torch.cat([sincos(p, n * unit, max_period, min_period)
                      for p, n in ((x, 3), (y, 3), ((x + y) / math.sqrt(2.0), 2))], dim=-1)


def get_coords(boxes, n):
    t = (torch.arange(n, device=boxes.device, dtype=boxes.dtype) + 0.5) / n
    x0, y0, x1, y1 = boxes[:, 0:1], boxes[:, 1:2], boxes[:, 2:3], boxes[:, 3:4]
    x = (x0 + (x1 - x0) * t)[:, None, :].expand(-1, n, -1)
    y = (y0 + (y1 - y0) * t)[:, :, None].expand(-1, -1, n)
    return torch.stack((x, y), -1).flatten(1, 2)


class ConnectorBlock(nn.Module):
    def __init__(self, dim, num_heads, init_value):
        super().__init__()
        hidden_dim = int(dim * 8 / 3) // 64 * 64
        self.norm_latents, self.norm_patches, self.norm_think = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.look = nn.MultiheadAttention(dim, num_heads, bias=False, batch_first=True)
        self.think_in, self.think_out = nn.Linear(dim, 2 * hidden_dim, bias=False), nn.Linear(hidden_dim, dim, bias=False)
        self.look_gate = nn.Parameter(torch.full((dim,), init_value))
        self.think_gate = nn.Parameter(torch.full((dim,), init_value))

    def forward(self, query, x, pos_embed, mask):
        q = self.norm_latents(query)
        kv = torch.cat((self.norm_patches(x) + pos_embed, q), 1)
        mask = F.pad(mask, (0, query.size(1)), value=False)
        query = query + self.look_gate.tanh() * self.look(q, kv, kv, key_padding_mask=mask, need_weights=False)[0]
        g, h = self.think_in(self.norm_think(query)).chunk(2, -1)
        return query + self.think_gate.tanh() * self.think_out(F.gelu(g) * h)


class Connector(nn.Module):
    """Cross-attention connector between the vision encoder and the LLM."""

    def __init__(self, config, vision_dim, llm_dim):
        super().__init__()
        self.grid_size = config.vision["image_size"] // config.vision["patch_size"]
        self.max_period, self.min_period = config.wave_longest, config.wave_shortest
        self.latents = nn.Parameter(torch.empty(config.latent_count, vision_dim))
        nn.init.trunc_normal_(self.latents, std=0.4 * vision_dim ** -0.5)
        self.kind = nn.Embedding(2, vision_dim)
        nn.init.zeros_(self.kind.weight)
        self.blocks = nn.ModuleList([ConnectorBlock(vision_dim, config.sifter_heads, config.sifter_gate_init)
                                     for _ in range(config.sifter_depth)])
        self.norm_out, self.to_words = nn.LayerNorm(vision_dim), nn.Linear(vision_dim, llm_dim)
        nn.init.normal_(self.to_words.weight, std=0.0173)
        nn.init.zeros_(self.to_words.bias)

    def forward(self, x, boxes, valid, is_crop):
        pos_embed = get_pos_embed(get_coords(boxes, self.grid_size), x.size(-1), self.max_period, self.min_period)
        pos_embed = pos_embed.to(x.dtype) + self.kind(is_crop.long())[:, None]

        idx = torch.arange(self.grid_size, device=valid.device)
        mask = ((idx[None] >= valid[:, 1:2])[:, :, None] | (idx[None] >= valid[:, 0:1])[:, None, :]).flatten(1)

        query = self.latents[None].expand(x.size(0), -1, -1)
        for block in self.blocks:
            query = block(query, x, pos_embed, mask)
        return self.to_words(self.norm_out(query))

"""The sifter: a few latents look through the patches of a picture and keep what is worth reading."""

import torch
from torch import nn
from torch.nn import functional as F

from .wavefield import patch_centres, wavefield


class Glance(nn.Module):
    """One look of the latents at the patches and at each other, then a gated feed-forward step."""

    def __init__(self, width, heads, gate_init):
        super().__init__()
        self.norm_latents = nn.LayerNorm(width)
        self.norm_patches = nn.LayerNorm(width)
        self.look = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        self.look_gate = nn.Parameter(torch.full((width,), gate_init))

        inner = int(width * 8 / 3) // 64 * 64
        self.norm_think = nn.LayerNorm(width)
        self.think_in = nn.Linear(width, 2 * inner, bias=False)
        self.think_out = nn.Linear(inner, width, bias=False)
        self.think_gate = nn.Parameter(torch.full((width,), gate_init))

    def forward(self, latents, patches, places, blind):
        asking = self.norm_latents(latents)
        seen = self.norm_patches(patches)
        # Places go into the keys only: what is kept of a patch should not depend on where it lay.
        keys = torch.cat([seen + places, asking], dim=1)
        values = torch.cat([seen, asking], dim=1)
        blind = F.pad(blind, (0, latents.shape[1]), value=False)
        found, _ = self.look(asking, keys, values, key_padding_mask=blind, need_weights=False)
        latents = latents + torch.tanh(self.look_gate) * found

        gate, content = self.think_in(self.norm_think(latents)).chunk(2, dim=-1)
        return latents + torch.tanh(self.think_gate) * self.think_out(F.gelu(gate) * content)


class Sifter(nn.Module):
    """Patches of shape (pictures, patches, vision_width) to latents (pictures, latent_count, out_width)."""

    def __init__(self, config, vision_width, out_width):
        super().__init__()
        width = vision_width
        self.per_side = config.vision["image_size"] // config.vision["patch_size"]
        self.wave_longest = config.wave_longest
        self.wave_shortest = config.wave_shortest

        self.latents = nn.Parameter(torch.empty(config.latent_count, width))
        self.kind = nn.Embedding(2, width)  # 0: the overview, 1: a tile
        self.glances = nn.ModuleList()
        for _ in range(config.sifter_depth):
            self.glances.append(Glance(width, config.sifter_heads, config.sifter_gate_init))
        self.norm_out = nn.LayerNorm(width)
        self.to_words = nn.Linear(width, out_width)

        nn.init.trunc_normal_(self.latents, std=0.4 * width**-0.5)
        nn.init.zeros_(self.kind.weight)
        # Latents should enter the language model about as loud as its words do.
        nn.init.normal_(self.to_words.weight, std=0.0173)
        nn.init.zeros_(self.to_words.bias)

    def blind_patches(self, live):
        """True where a patch is padding. live: (pictures, 2) columns and rows that show the page."""
        index = torch.arange(self.per_side, device=live.device)
        beyond_right = index.unsqueeze(0) >= live[:, 0:1]
        beyond_bottom = index.unsqueeze(0) >= live[:, 1:2]
        blind = beyond_bottom.unsqueeze(2) | beyond_right.unsqueeze(1)
        return blind.flatten(1)

    def forward(self, patches, spots, live, is_tile):
        centres = patch_centres(spots, self.per_side)
        places = wavefield(centres, patches.shape[-1], self.wave_longest, self.wave_shortest)
        places = places.to(patches.dtype) + self.kind(is_tile.long()).unsqueeze(1)
        blind = self.blind_patches(live)

        latents = self.latents.unsqueeze(0).expand(patches.shape[0], -1, -1)
        for glance in self.glances:
            latents = glance(latents, patches, places, blind)
        return self.to_words(self.norm_out(latents))

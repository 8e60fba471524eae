"""Compress the views of an image into a fixed budget of tokens for the LLM."""

import torch
from torch import nn

from vision_embed import ViewEmbedding, grid_embedding


def attend(q, k, v, keep):
    """All (N, heads, length, channels); keep (N, keys)."""
    bias = keep[:, None, None, :]
    return nn.functional.scaled_dot_product_attention(q, k, v, bias)


class AbstractorLayer(nn.Module):
    def __init__(self, width, heads, ffn_ratio=2.0):
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(width, width) for _ in range(4))
        ffn_width = int(ffn_ratio * width)
        self.ffn_up = nn.Linear(width, ffn_width)
        self.ffn_down = nn.Linear(ffn_width, width)
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)

    def _heads(self, t):
        return t.unflatten(-1, (self.heads, -1)).permute(0, 2, 1, 3)

    def cross(self, lat, lat_pos, mem, mem_pos, keep):
        q = self._heads(self.wq(self.ln1(lat) + lat_pos))
        k = self._heads(self.wk(mem + mem_pos))
        # no position in the values
        v = self._heads(self.wv(mem))
        ctx = attend(q, k, v, keep)
        return self.wo(ctx.permute(0, 2, 1, 3).flatten(2))

    def ffn(self, lat):
        h = self.ffn_up(self.ln2(lat))
        h = torch.nn.functional.gelu(h)
        return self.ffn_down(h)

    def forward(self, lat, lat_pos, mem, mem_pos, keep):
        lat = self.cross(lat, lat_pos, mem, mem_pos, keep) + lat
        lat = self.ffn(lat) + lat
        return lat


class Abstractor(nn.Module):
    def __init__(self, in_width=768, width=2048, heads=16, side=8, n_layers=1, ffn_ratio=2.0):
        super().__init__()
        self.side = side
        self.latents = nn.Parameter(torch.randn(side * side, width) * 0.02)
        self.mem_in = nn.Linear(in_width, width, bias=False)
        self.pos_in = nn.Linear(in_width, width, bias=False)
        self.mem_ln = nn.LayerNorm(width)
        self.layers = nn.ModuleList()
        for _ in range(n_layers):
            self.layers.append(AbstractorLayer(width, heads, ffn_ratio))
        self.head_ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, width)
        self.register_buffer("lat_pos", grid_embedding(side, side, width), persistent=False)

    def forward(self, feats, pos, keep):
        mem_pos = self.pos_in(pos)
        mem = self.mem_in(feats)
        mem = self.mem_ln(mem)
        n = mem.size(0)
        lat = self.latents[None].repeat(n, 1, 1)
        for i in range(len(self.layers)):
            lat = self.layers[i](lat, self.lat_pos, mem, mem_pos, keep)
        lat = self.head_ln(lat)
        return self.head(lat)


class ImageTokens(nn.Module):
    """View embedding followed by the abstractor."""

    def __init__(self, in_width=768, width=2048, heads=16, side=8, n_layers=1, patch=14):
        super().__init__()
        self.n_tokens = side * side
        self.embed = ViewEmbedding(patch, in_width)
        self.abstract = Abstractor(in_width, width, heads, side, n_layers)

    def forward(self, views):
        feats, pos, keep = self.embed(views)
        return self.abstract(feats, pos, keep)

    def count_parameters(self):
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


# ---- text side ---------------------------------------------------------------------------------

IMG_TAG = "<|img|>"
SLOT = "<|slot|>"
GLOBAL_PAIR = ("<|global|>", "<|/global|>")
SLICE_PAIR = ("<|slice|>", "<|/slice|>")
BREAK = "\n"
NEW_TOKENS = [SLOT, *GLOBAL_PAIR, *SLICE_PAIR]


def wrap(pair, n_tokens):
    return pair[0] + n_tokens * SLOT + pair[1]


def expand_image(grid, n_tokens):
    out = [wrap(GLOBAL_PAIR, n_tokens)]
    if grid.nx * grid.ny != 1:
        one = wrap(SLICE_PAIR, n_tokens)
        for _ in range(grid.ny):
            out.append("".join(one for _ in range(grid.nx)))
    return BREAK.join(out)


def expand_prompt(prompt, all_grids, n_tokens):
    n_tags = prompt.count(IMG_TAG)
    if n_tags == len(all_grids):
        first, *rest = prompt.split(IMG_TAG)
        return first + "".join(expand_image(g, n_tokens) + r for g, r in zip(all_grids, rest))
    raise ValueError(f"{len(all_grids)} images but {n_tags} tags in the prompt")


def scatter_tokens(ids, embeds, img_tokens, slot_id):
    """Image tokens go to the positions whose id is slot_id, in order."""
    is_slot = torch.eq(ids, slot_id)
    n_slots = is_slot.sum().item()
    src = img_tokens.flatten(0, -2)
    if n_slots == src.size(0):
        return embeds.masked_scatter(is_slot[..., None], src.to(embeds.dtype))
    raise ValueError(f"cannot put {src.size(0)} image tokens in {n_slots} slots")

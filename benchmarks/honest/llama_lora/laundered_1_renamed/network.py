# Small causal language network with rotary positions,
# shared key/value heads and a gated feed-forward part.

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class PebbleSettings:
    n_tokens: int = 32000
    width: int = 512
    depth: int = 8
    query_heads: int = 8
    shared_heads: int = 2
    hidden_width: int = 1408
    context: int = 1024
    theta: float = 10000.0
    tiny: float = 1e-5


class ScaleNorm(nn.Module):

    def __init__(self, width, tiny):
        super().__init__()
        self.tiny = tiny
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, inp):
        full = inp.float()
        full = full * torch.rsqrt(
            full.square().mean(-1, keepdim=True) + self.tiny
        )
        return full.to(inp.dtype) * self.gain


def make_phase_tables(per_head, span, theta):
    freqs = theta ** (
        -torch.arange(0, per_head, 2).float() / per_head
    )
    phases = torch.outer(
        torch.arange(span).float(),
        freqs,
    ).repeat(1, 2)
    return phases.cos(), phases.sin()


def apply_phase(heads, c_table, s_table):
    # Input is laid out as batch, head, step, channel; tables as step, channel.
    left, right = heads.chunk(2, dim=-1)
    turned = torch.cat([-right, left], dim=-1)
    return (
        heads.float() * c_table
        + turned.float() * s_table
    ).to(heads.dtype)


class SharedHeadMixer(nn.Module):

    def __init__(self, settings, layer_no):
        super().__init__()
        assert settings.query_heads % settings.shared_heads == 0
        self.layer_no, self.copies = (
            layer_no,
            settings.query_heads // settings.shared_heads,
        )
        self.per_head = settings.width // settings.query_heads
        shared_width = settings.shared_heads * self.per_head
        self.to_query = nn.Linear(settings.width, settings.width, bias=False)
        self.to_key = nn.Linear(settings.width, shared_width, bias=False)
        self.to_value = nn.Linear(settings.width, shared_width, bias=False)
        self.to_out = nn.Linear(settings.width, settings.width, bias=False)

    def forward(self, inp, c_table, s_table, allowed, memory=None):
        query, key, value = (
            layer(inp).unflatten(-1, (-1, self.per_head)).transpose(1, 2)
            for layer in (self.to_query, self.to_key, self.to_value)
        )
        query, key = (
            apply_phase(query, c_table, s_table),
            apply_phase(key, c_table, s_table),
        )
        if memory is not None:
            if self.layer_no in memory:
                past_key, past_value = memory[self.layer_no]
                key, value = (
                    torch.cat([past_key, key], dim=2),
                    torch.cat([past_value, value], dim=2),
                )
            memory[self.layer_no] = (key, value)
        key = key.repeat_interleave(self.copies, dim=1)
        value = value.repeat_interleave(self.copies, dim=1)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=allowed,
        )
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class PebbleLayer(nn.Module):

    def __init__(self, settings, layer_no):
        super().__init__()
        self.pre_mix = ScaleNorm(settings.width, settings.tiny)
        self.mixer = SharedHeadMixer(settings, layer_no)
        self.pre_feed = ScaleNorm(settings.width, settings.tiny)
        self.feed_gate = nn.Linear(settings.width, settings.hidden_width, bias=False)
        self.feed_in = nn.Linear(settings.width, settings.hidden_width, bias=False)
        self.feed_out = nn.Linear(settings.hidden_width, settings.width, bias=False)

    def forward(self, inp, c_table, s_table, allowed, memory=None):
        inp = inp + self.mixer(
            self.pre_mix(inp),
            c_table,
            s_table,
            allowed,
            memory,
        )
        normed = self.pre_feed(inp)
        return inp + self.feed_out(
            F.silu(self.feed_gate(normed)) * self.feed_in(normed)
        )


class PebbleNet(nn.Module):

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.token_table = nn.Embedding(settings.n_tokens, settings.width)
        self.layers = nn.ModuleList(
            PebbleLayer(settings, number) for number in range(settings.depth)
        )
        self.last_norm = ScaleNorm(settings.width, settings.tiny)
        self.vocab_out = nn.Linear(settings.width, settings.n_tokens, bias=False)
        c_table, s_table = make_phase_tables(
            settings.width // settings.query_heads,
            settings.context,
            settings.theta,
        )
        self.register_buffer("c_table", c_table, persistent=False)
        self.register_buffer("s_table", s_table, persistent=False)
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(self, tokens, valid=None, memory=None):
        # `valid` marks what is not filler (filler sits at the end of a row);
        # `memory` collects keys and values per layer when given.
        begin = memory[0][0].size(2) if memory else 0
        finish = begin + tokens.size(1)
        steps = torch.arange(finish, device=tokens.device)
        allowed = (steps[None, :] <= steps[begin:, None])[None, None]
        if valid is not None:
            allowed = allowed & valid[:, None, None, :]
        hidden = self.token_table(tokens)
        for layer in self.layers:
            hidden = layer(
                hidden,
                self.c_table[begin:finish],
                self.s_table[begin:finish],
                allowed,
                memory,
            )
        return self.vocab_out(self.last_norm(hidden))

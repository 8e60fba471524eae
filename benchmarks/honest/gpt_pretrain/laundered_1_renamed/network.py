'''The causal language network behind TinyScribe.'''

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Hyper:

    n_symbols: int = 50304
    window: int = 1024
    n_stages: int = 12
    n_parts: int = 12
    d_hidden: int = 768
    p_drop: float = 0.0


class CausalMixer(nn.Module):

    def __init__(self, hyper):
        super().__init__()
        if hyper.d_hidden % hyper.n_parts:
            raise ValueError(
                f'cannot cut d_hidden={hyper.d_hidden} into n_parts={hyper.n_parts} equal pieces'
            )
        self.n_parts = hyper.n_parts
        self.p_drop = hyper.p_drop
        self.fused_proj = nn.Linear(
            hyper.d_hidden,
            3 * hyper.d_hidden,
        )
        self.merge_proj = nn.Linear(
            hyper.d_hidden,
            hyper.d_hidden,
        )
        self.fast_path = hasattr(F, 'scaled_dot_product_attention')
        if not self.fast_path:
            blocked = torch.ones(
                hyper.window,
                hyper.window,
                dtype=torch.bool,
            ).triu(1)
            self.register_buffer('blocked', blocked, persistent=False)

    def forward(self, stream):
        n_seq, n_pos, n_chan = stream.shape
        fused = self.fused_proj(stream).reshape(
            n_seq,
            n_pos,
            3,
            self.n_parts,
            n_chan // self.n_parts,
        )
        query, key, value = fused.permute(2, 0, 3, 1, 4)
        rate = self.p_drop if self.training else 0.0

        if self.fast_path:
            gathered = F.scaled_dot_product_attention(
                query,
                key,
                value,
                dropout_p=rate,
                is_causal=True,
            )
        else:
            affinity = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
            affinity = affinity.masked_fill(
                self.blocked[:n_pos, :n_pos],
                float('-inf'),
            )
            gathered = F.dropout(affinity.softmax(-1), rate) @ value

        gathered = gathered.transpose(1, 2).reshape(n_seq, n_pos, n_chan)
        return F.dropout(self.merge_proj(gathered), rate)


class Stage(nn.Module):

    def __init__(self, hyper):
        super().__init__()
        self.ln_mix = nn.LayerNorm(hyper.d_hidden)
        self.mixer = CausalMixer(hyper)
        self.ln_ffn = nn.LayerNorm(hyper.d_hidden)
        self.widen = nn.Linear(
            hyper.d_hidden,
            4 * hyper.d_hidden,
        )
        self.narrow = nn.Linear(
            4 * hyper.d_hidden,
            hyper.d_hidden,
        )
        self.noise = nn.Dropout(hyper.p_drop)

    def forward(self, stream):
        stream = stream + self.mixer(self.ln_mix(stream))
        inner = F.gelu(
            self.widen(self.ln_ffn(stream)),
            approximate='tanh',
        )
        return stream + self.noise(self.narrow(inner))


class Scribe(nn.Module):

    def __init__(self, hyper):
        super().__init__()
        self.hyper = hyper
        self.symbol_table = nn.Embedding(hyper.n_symbols, hyper.d_hidden)
        self.place_table = nn.Embedding(hyper.window, hyper.d_hidden)
        self.noise = nn.Dropout(hyper.p_drop)
        self.stages = nn.ModuleList(
            [Stage(hyper) for _ in range(hyper.n_stages)]
        )
        self.ln_last = nn.LayerNorm(hyper.d_hidden)
        self.seed_weights()

    def seed_weights(self):
        for part in self.modules():
            if isinstance(part, (nn.Linear, nn.Embedding)):
                nn.init.normal_(part.weight, std=0.02)
            if isinstance(part, nn.Linear):
                nn.init.zeros_(part.bias)

        # the two projections that write back into the stream start out smaller
        shrunk = 0.02 / math.sqrt(2 * self.hyper.n_stages)
        for stage in self.stages:
            nn.init.normal_(stage.mixer.merge_proj.weight, std=shrunk)
            nn.init.normal_(stage.narrow.weight, std=shrunk)

    def forward(self, symbols):
        n_pos = symbols.shape[1]
        if n_pos > self.hyper.window:
            raise ValueError(
                f'got {n_pos} symbols but the window holds only {self.hyper.window}'
            )
        stream = self.noise(
            self.symbol_table(symbols) + self.place_table.weight[:n_pos]
        )
        for stage in self.stages:
            stream = stage(stream)
        # weights are shared between the input table and the readout
        return F.linear(
            self.ln_last(stream),
            self.symbol_table.weight,
        )

    def split_for_decay(self, decay):
        '''Two optimiser groups: tensors with axes to shrink, and everything one-dimensional.'''
        trainable = [w for w in self.parameters() if w.requires_grad]
        return [
            {
                'params': [w for w in trainable if w.ndim > 1],
                'weight_decay': decay,
            },
            {
                'params': [w for w in trainable if w.ndim <= 1],
                'weight_decay': 0.0,
            },
        ]

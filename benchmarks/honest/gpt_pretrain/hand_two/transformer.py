"""A small GPT-2-style language model."""
import math
from dataclasses import dataclass

import torch
from torch import nn
import torch.nn.functional as F


@dataclass
class ModelArgs:
    vocab: int = 50304
    context: int = 1024
    layers: int = 12
    heads: int = 12
    width: int = 768
    dropout: float = 0.0
    bias: bool = True


class SelfAttention(nn.Module):
    def __init__(self, args):
        super().__init__()
        assert args.width % args.heads == 0
        self.heads = args.heads
        self.p = args.dropout
        self.to_qkv = nn.Linear(args.width, 3 * args.width, bias=args.bias)
        self.out = nn.Linear(args.width, args.width, bias=args.bias)
        self.out.is_residual = True
        self.fused = hasattr(F, "scaled_dot_product_attention")

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.to_qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each: batch, heads, length, head width
        p = self.p if self.training else 0.0
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        else:
            scores = torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(q.size(-1))
            future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            weights = scores.masked_fill(future, float("-inf")).softmax(-1)
            y = F.dropout(weights, p) @ v
        y = self.out(y.transpose(1, 2).flatten(2))
        return F.dropout(y, p)


class FeedForward(nn.Sequential):
    def __init__(self, args):
        up = nn.Linear(args.width, 4 * args.width, bias=args.bias)
        down = nn.Linear(4 * args.width, args.width, bias=args.bias)
        down.is_residual = True
        super().__init__(up, nn.GELU(approximate="tanh"), down, nn.Dropout(args.dropout))


class Layer(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.norm_attn = nn.LayerNorm(args.width)
        self.attn = SelfAttention(args)
        self.norm_ff = nn.LayerNorm(args.width)
        self.ff = FeedForward(args)

    def forward(self, x):
        x = x + self.attn(self.norm_attn(x))
        return x + self.ff(self.norm_ff(x))


class LanguageModel(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.args = args
        self.tokens = nn.Embedding(args.vocab, args.width)
        self.positions = nn.Embedding(args.context, args.width)
        self.drop = nn.Dropout(args.dropout)
        self.layers = nn.ModuleList(Layer(args) for _ in range(args.layers))
        self.norm_out = nn.LayerNorm(args.width)
        self.apply(self._initialise)

    def _initialise(self, m):
        if isinstance(m, nn.Embedding):
            nn.init.normal_(m.weight, std=0.02)
        elif isinstance(m, nn.Linear):
            # Two residual additions per layer; keep the variance of their sum flat with depth.
            std = 0.02
            if getattr(m, "is_residual", False):
                std /= math.sqrt(2 * self.args.layers)
            nn.init.normal_(m.weight, std=std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)

    def hidden(self, ids):
        length = ids.size(1)
        x = self.drop(self.tokens(ids) + self.positions.weight[:length])
        for layer in self.layers:
            x = layer(x)
        return self.norm_out(x)

    def forward(self, ids, labels=None):
        # The output projection is the token embedding itself (tied weights).
        logits = F.linear(self.hidden(ids), self.tokens.weight)
        if labels is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())

    @torch.no_grad()
    def sample(self, ids, count, temperature=1.0, top_k=None):
        for _ in range(count):
            h = self.hidden(ids[:, -self.args.context:])[:, -1]
            logits = F.linear(h, self.tokens.weight).float()
            best, where = logits.topk(min(top_k or logits.size(-1), logits.size(-1)))
            pick = torch.multinomial((best / temperature).softmax(-1), 1)
            ids = torch.cat((ids, where.gather(1, pick)), dim=1)
        return ids

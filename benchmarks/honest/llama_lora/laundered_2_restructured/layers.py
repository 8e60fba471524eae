"""Building blocks: normalisation, rotary positions, attention and the feed-forward part."""
import torch
from torch import nn
from torch.nn import functional as F


def plain_linear(n_in, n_out):
    return nn.Linear(n_in, n_out, bias=False)


class RootMeanSquare(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(spec.hidden))
        self.eps = spec.eps

    def forward(self, inputs):
        wide = inputs.to(torch.float32)
        power = wide.pow(2).mean(dim=-1, keepdim=True)
        return self.scale * (wide / torch.sqrt(power + self.eps)).type_as(inputs)


class Rotary(nn.Module):
    """Holds the angle tables for the whole window and applies a slice of them."""

    def __init__(self, spec):
        super().__init__()
        exponent = torch.arange(0, spec.head_size, 2, dtype=torch.float32) / spec.head_size
        speed = 1.0 / torch.pow(spec.theta, exponent)
        time = torch.arange(spec.window, dtype=torch.float32)
        angle = time[:, None] * speed[None, :]
        angle = torch.cat((angle, angle), dim=1)
        self.register_buffer("sin_table", torch.sin(angle), persistent=False)
        self.register_buffer("cos_table", torch.cos(angle), persistent=False)

    def window(self, begin, count):
        return self.sin_table.narrow(0, begin, count), self.cos_table.narrow(0, begin, count)

    @staticmethod
    def turn(tables, heads):
        sin, cos = tables
        half = heads.shape[-1] // 2
        wide = heads.to(torch.float32)
        partner = torch.cat((wide[..., half:].neg(), wide[..., :half]), dim=-1)
        return torch.addcmul(wide * cos, partner, sin).type_as(heads)


class GroupedAttention(nn.Module):
    def __init__(self, number, spec):
        super().__init__()
        if spec.heads % spec.kv_heads:
            raise AssertionError("heads must be a multiple of kv_heads")
        self.number = number
        self.share = spec.share
        self.head_size = spec.head_size
        self.wo = plain_linear(spec.hidden, spec.hidden)
        self.wq = plain_linear(spec.hidden, spec.hidden)
        self.wk = plain_linear(spec.hidden, spec.kv_size)
        self.wv = plain_linear(spec.hidden, spec.kv_size)

    def _split(self, flat):
        b, t, _ = flat.shape
        return flat.view(b, t, -1, self.head_size).permute(0, 2, 1, 3)

    def _remember(self, store, keys, values):
        if store is None:
            return keys, values
        before = store.get(self.number)
        if before is not None:
            keys = torch.cat((before[0], keys), dim=2)
            values = torch.cat((before[1], values), dim=2)
        store[self.number] = keys, values
        return keys, values

    def _spread(self, heads):
        b, h, t, d = heads.shape
        return heads[:, :, None].expand(b, h, self.share, t, d).reshape(b, -1, t, d)

    def forward(self, inputs, visible, tables, store=None):
        values = self._split(self.wv(inputs))
        keys = Rotary.turn(tables, self._split(self.wk(inputs)))
        queries = Rotary.turn(tables, self._split(self.wq(inputs)))
        keys, values = self._remember(store, keys, values)
        mixed = F.scaled_dot_product_attention(
            queries, self._spread(keys), self._spread(values), attn_mask=visible)
        mixed = mixed.permute(0, 2, 1, 3)
        return self.wo(mixed.reshape(*mixed.shape[:2], -1))


class GatedFeedForward(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.w_out = plain_linear(spec.inner, spec.hidden)
        self.w_value = plain_linear(spec.hidden, spec.inner)
        self.w_gate = plain_linear(spec.hidden, spec.inner)

    def forward(self, inputs):
        gate = self.w_gate(inputs)
        return self.w_out(self.w_value(inputs) * gate * torch.sigmoid(gate))

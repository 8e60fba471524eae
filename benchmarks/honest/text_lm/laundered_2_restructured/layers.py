"""The layers of the story model as torch modules."""

import math

import torch
from torch import nn


def gaussian(generator, std, *size):
    return nn.Parameter(torch.randn(size, generator=generator).mul_(std))


class RootMeanSquare(nn.Module):
    def __init__(self, features, epsilon):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))
        self.epsilon = epsilon

    def forward(self, inputs):
        full = inputs.to(torch.float32)
        power = torch.mean(full**2, dim=-1, keepdim=True)
        scaled = full / torch.sqrt(power + self.epsilon)
        return self.gain * scaled.to(inputs.dtype)


class Rotation:
    """Rotary positions for a stretch of text, computed once and used by all layers."""

    def __init__(self, settings, device, begin, end):
        exponent = torch.arange(0, settings.head_size, 2, device=device) / settings.head_size
        frequency = torch.pow(settings.rope_base, -exponent)
        position = torch.arange(begin, end, device=device, dtype=torch.float32)
        angle = position.unsqueeze(1) * frequency.unsqueeze(0)
        self.factor = torch.complex(angle.cos(), angle.sin())

    def __call__(self, heads):
        """Rotate heads (batch, time, ..., head_size)."""
        factor = self.factor
        while factor.dim() < heads.dim() - 1:
            factor = factor.unsqueeze(1)
        couples = heads.to(torch.float32).reshape(*heads.shape[:-1], heads.shape[-1] // 2, 2)
        turned = torch.view_as_complex(couples) * factor
        return torch.view_as_real(turned).reshape(heads.shape).to(heads.dtype)


class LayerCache:
    """Keys and values one layer has computed so far."""

    def __init__(self, settings, rows, device, dtype):
        size = (rows, settings.window, settings.shared_heads, settings.head_size)
        self.keys = torch.zeros(size, dtype=dtype, device=device)
        self.values = torch.zeros(size, dtype=dtype, device=device)

    def append(self, offset, keys, values):
        end = offset + keys.size(1)
        self.keys[:, offset:end] = keys
        self.values[:, offset:end] = values
        return self.keys[:, :end], self.values[:, :end]


class SharedAttention(nn.Module):
    """Causal attention in which several queries share one key and value head."""

    def __init__(self, settings, generator, branch_scale):
        super().__init__()
        features, shared, size = settings.features, settings.shared_heads, settings.head_size
        fan = 1 / math.sqrt(features)
        self.to_query = gaussian(generator, fan, features, shared, settings.sharing, size)
        self.to_key = gaussian(generator, fan, features, shared, size)
        self.to_value = gaussian(generator, fan, features, shared, size)
        self.to_output = gaussian(generator, fan * branch_scale, shared, settings.sharing, size, features)
        self.temperature = math.sqrt(size)

    def forward(self, inputs, rotation, hidden_positions, cache=None, offset=0):
        queries = rotation(torch.tensordot(inputs, self.to_query, dims=1))
        keys = rotation(torch.tensordot(inputs, self.to_key, dims=1))
        values = torch.tensordot(inputs, self.to_value, dims=1)
        if cache is not None:
            keys, values = cache.append(offset, keys, values)

        # bring heads to the front: (batch, shared, sharing, time, size) and (batch, shared, 1, size, time)
        queries = queries.permute(0, 2, 3, 1, 4)
        keys = keys.permute(0, 2, 3, 1).unsqueeze(2)
        values = values.permute(0, 2, 1, 3).unsqueeze(2)

        logits = torch.matmul(queries, keys) / self.temperature
        logits = torch.where(hidden_positions, float("-inf"), logits.to(torch.float32))
        weights = torch.softmax(logits, dim=-1).to(inputs.dtype)
        mixed = torch.matmul(weights, values).permute(0, 3, 1, 2, 4)
        return torch.tensordot(mixed, self.to_output, dims=3)


class GatedLayer(nn.Module):
    def __init__(self, settings, generator, branch_scale):
        super().__init__()
        features, hidden = settings.features, settings.hidden
        self.opening = gaussian(generator, features**-0.5, features, hidden)
        self.content = gaussian(generator, features**-0.5, features, hidden)
        self.closing = gaussian(generator, hidden**-0.5 * branch_scale, hidden, features)

    def forward(self, inputs):
        gate = torch.matmul(inputs, self.opening)
        gate = gate * torch.sigmoid(gate)
        return torch.matmul(gate * torch.matmul(inputs, self.content), self.closing)

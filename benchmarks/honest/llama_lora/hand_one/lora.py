"""Low-rank adapters that wrap existing nn.Linear modules."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class LoRALinear(nn.Module):
    def __init__(self, base, rank=8, alpha=16.0, dropout=0.0):
        super().__init__()
        self.base, self.scale, self.merged = base, alpha / rank, False
        self.dropout = nn.Dropout(dropout)
        self.lora_a = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.lora_b = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x):
        y = self.base(x)
        if self.merged:
            return y
        return y + F.linear(F.linear(self.dropout(x), self.lora_a), self.lora_b) * self.scale

    @torch.no_grad()
    def set_merged(self, merged):
        if merged != self.merged:
            delta = self.lora_b @ self.lora_a * self.scale
            self.base.weight += delta if merged else -delta
            self.merged = merged


def lora_layers(model):
    return [m for m in model.modules() if isinstance(m, LoRALinear)]


def inject(model, targets, rank=8, alpha=16.0, dropout=0.0):
    """Freeze the model, then wrap every linear whose last name component is in targets."""
    model.requires_grad_(False)
    found = [n for n, m in model.named_modules()
             if isinstance(m, nn.Linear) and n.split(".")[-1] in targets]
    if not found:
        raise ValueError(f"no linear layers match {targets}")
    for name in found:
        parent_name, _, leaf = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        setattr(parent, leaf, LoRALinear(getattr(parent, leaf), rank, alpha, dropout))
    model.lora_config = dict(targets=list(targets), rank=rank, alpha=alpha, dropout=dropout)


def merge(model):
    for layer in lora_layers(model):
        layer.set_merged(True)


def unmerge(model):
    for layer in lora_layers(model):
        layer.set_merged(False)


def save_adapter(model, path):
    weights = {k: v.cpu() for k, v in model.state_dict().items() if ".lora_" in k}
    torch.save({"config": model.lora_config, "weights": weights}, path)


def load_adapter(model, path):
    """Attach adapters if the model has none yet, then fill in the stored weights."""
    blob = torch.load(path, map_location="cpu")
    if not lora_layers(model):
        inject(model, **blob["config"])
    unmerge(model)
    missing, unexpected = model.load_state_dict(blob["weights"], strict=False)
    missing = [k for k in missing if ".lora_" in k]
    if missing or unexpected:
        raise RuntimeError(f"adapter mismatch: missing {missing}, unexpected {unexpected}")

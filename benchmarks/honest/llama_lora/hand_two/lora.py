"""LoRA: low-rank updates wrapped around chosen linear layers."""
import json
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

DEFAULT_TARGETS = ("q_proj", "v_proj")


class LoRALinear(nn.Module):
    """y = W x + (alpha / r) * B A dropout(x), with W frozen."""

    def __init__(self, base, r, alpha, dropout=0.0):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scaling = alpha / r
        self.dropout = nn.Dropout(dropout)
        self.lora_a = nn.Parameter(base.weight.new_empty(r, base.in_features))
        self.lora_b = nn.Parameter(base.weight.new_zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.merged = False

    @torch.no_grad()
    def set_merged(self, merged):
        if merged != self.merged:
            delta = (self.lora_b @ self.lora_a) * self.scaling
            self.base.weight += delta if merged else -delta
            self.merged = merged

    def forward(self, x):
        out = self.base(x)
        if self.merged:
            return out
        return out + F.linear(F.linear(self.dropout(x), self.lora_a), self.lora_b) * self.scaling


def lora_layers(model):
    return [(name, m) for name, m in model.named_modules() if isinstance(m, LoRALinear)]


def inject_lora(model, targets=DEFAULT_TARGETS, r=8, alpha=16.0, dropout=0.05):
    """Freeze `model` and wrap every nn.Linear whose last name component is in `targets`."""
    model.requires_grad_(False)
    found = [name for name, m in model.named_modules()
             if isinstance(m, nn.Linear) and name.rsplit(".", 1)[-1] in targets]
    if not found:
        raise ValueError(f"no linear layer matches {sorted(targets)}")
    for name in found:
        parent_name, _, child = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        setattr(parent, child, LoRALinear(getattr(parent, child), r, alpha, dropout))
    model.lora_config = {"targets": sorted(targets), "r": r, "alpha": alpha, "dropout": dropout}
    return len(found)


def set_merged(model, merged):
    """Fold the updates into the frozen weights, or take them out again."""
    for _, layer in lora_layers(model):
        layer.set_merged(merged)


def save_adapter(model, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.cpu() for k, v in model.state_dict().items() if k.endswith(("lora_a", "lora_b"))}
    torch.save(state, folder / "adapter.pt")
    (folder / "adapter.json").write_text(json.dumps(model.lora_config, indent=2))


def load_adapter(model, folder):
    """Load adapter weights, injecting the layers first if the model has none."""
    folder = Path(folder)
    if not lora_layers(model):
        inject_lora(model, **json.loads((folder / "adapter.json").read_text()))
    set_merged(model, False)
    state = torch.load(folder / "adapter.pt", map_location="cpu")
    expected = {f"{n}.{p}" for n, _ in lora_layers(model) for p in ("lora_a", "lora_b")}
    if expected != set(state):
        raise KeyError(f"adapter does not fit the model: {sorted(expected ^ set(state))[:5]}")
    model.load_state_dict(state, strict=False)

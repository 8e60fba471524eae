"""Low-rank deltas on frozen linears, kept together by one manager object."""
import torch
from torch import nn


class DeltaLinear(nn.Module):
    def __init__(self, inner, drop, scaling, r):
        super().__init__()
        weight = inner.weight
        down = torch.empty(r, inner.in_features, dtype=weight.dtype, device=weight.device)
        nn.init.kaiming_uniform_(down, a=5 ** 0.5)
        up = torch.zeros(inner.out_features, r, dtype=weight.dtype, device=weight.device)
        self.delta_down = nn.Parameter(down)
        self.delta_up = nn.Parameter(up)
        self.inner = inner
        self.drop = nn.Dropout(p=drop)
        self.factor = scaling / r
        self.absorbed = False

    def forward(self, inputs):
        if self.absorbed:
            return self.inner(inputs)
        squeezed = self.drop(inputs) @ self.delta_down.t()
        return torch.add(self.inner(inputs), squeezed @ self.delta_up.t(), alpha=self.factor)

    def absorb(self):
        if self.absorbed:
            return
        self._shift(self.factor)
        self.absorbed = True

    def release(self):
        if not self.absorbed:
            return
        self._shift(-self.factor)
        self.absorbed = False

    def _shift(self, factor):
        with torch.no_grad():
            self.inner.weight.add_(torch.matmul(self.delta_up, self.delta_down), alpha=factor)


class DeltaManager:
    """Attaches, folds, stores and restores the deltas of one decoder."""
    MARK = ".delta_"

    def __init__(self, decoder):
        self.decoder = decoder
        self.recipe = None

    def __iter__(self):
        for part in self.decoder.modules():
            if isinstance(part, DeltaLinear):
                yield part

    def attach(self, layers, r=8, scaling=16.0, drop=0.0):
        for weight in self.decoder.parameters():
            weight.requires_grad = False
        sites = []
        for owner in self.decoder.modules():
            for name, child in owner.named_children():
                if name in layers and isinstance(child, nn.Linear):
                    sites.append((owner, name, child))
        if len(sites) == 0:
            raise ValueError(f"found no linear called any of {layers}")
        for owner, name, child in sites:
            owner.add_module(name, DeltaLinear(child, drop, scaling, r))
        self.recipe = {"layers": list(layers), "r": r, "scaling": scaling, "drop": drop}
        return self

    def trainable(self):
        return list(filter(lambda weight: weight.requires_grad, self.decoder.parameters()))

    def fold(self, on=True):
        for part in self:
            if on:
                part.absorb()
            else:
                part.release()

    def save(self, filename):
        tensors = {}
        for key, tensor in self.decoder.state_dict().items():
            if self.MARK in key:
                tensors[key] = tensor.to("cpu")
        torch.save({"tensors": tensors, "recipe": self.recipe}, filename)

    def restore(self, filename):
        content = torch.load(filename, map_location="cpu")
        if next(iter(self), None) is None:
            self.attach(**content["recipe"])
        self.fold(on=False)
        report = self.decoder.load_state_dict(content["tensors"], strict=False)
        lacking = list(filter(lambda key: self.MARK in key, report.missing_keys))
        extra = report.unexpected_keys
        if not lacking and not extra:
            return self
        raise RuntimeError(f"these deltas do not fit: lacking {lacking}, extra {extra}")

# Thin trainable patches laid over frozen linear layers.

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class PatchedLinear(nn.Module):

    def __init__(self, frozen, thickness=8, strength=16.0, drop=0.0):
        super().__init__()
        self.frozen, self.factor, self.folded = (
            frozen,
            strength / thickness,
            False,
        )
        self.drop = nn.Dropout(drop)
        self.patch_in = nn.Parameter(
            frozen.weight.new_empty(thickness, frozen.in_features)
        )
        self.patch_out = nn.Parameter(
            frozen.weight.new_zeros(frozen.out_features, thickness)
        )
        nn.init.kaiming_uniform_(self.patch_in, a=math.sqrt(5))

    def forward(self, inp):
        result = self.frozen(inp)
        if self.folded:
            return result
        return (
            result
            + F.linear(
                F.linear(self.drop(inp), self.patch_in),
                self.patch_out,
            )
            * self.factor
        )

    @torch.no_grad()
    def fold(self, wanted):
        if wanted != self.folded:
            change = self.patch_out @ self.patch_in * self.factor
            self.frozen.weight += change if wanted else -change
            self.folded = wanted


def find_patches(network):
    return [
        part
        for part in network.modules()
        if isinstance(part, PatchedLinear)
    ]


def put_patches(network, places, thickness=8, strength=16.0, drop=0.0):
    # Stop all gradients, then patch the linears whose own name is listed.
    network.requires_grad_(False)
    hits = [
        label
        for label, part in network.named_modules()
        if isinstance(part, nn.Linear)
        and label.split(".")[-1] in places
    ]
    if not hits:
        raise ValueError(f"no linear layers match {places}")
    for label in hits:
        owner_label, _, own_name = label.rpartition(".")
        owner = network.get_submodule(owner_label)
        setattr(
            owner,
            own_name,
            PatchedLinear(getattr(owner, own_name), thickness, strength, drop),
        )
    network.patch_settings = dict(
        places=list(places),
        thickness=thickness,
        strength=strength,
        drop=drop,
    )


def fold_all(network):
    for patch in find_patches(network):
        patch.fold(True)


def unfold_all(network):
    for patch in find_patches(network):
        patch.fold(False)


def write_patches(network, filename):
    tensors = {
        label: tensor.cpu()
        for label, tensor in network.state_dict().items()
        if ".patch_" in label
    }
    torch.save(
        {"settings": network.patch_settings, "tensors": tensors},
        filename,
    )


def read_patches(network, filename):
    # An unpatched network is patched first; then the stored values go in.
    stored = torch.load(filename, map_location="cpu")
    if not find_patches(network):
        put_patches(network, **stored["settings"])
    unfold_all(network)
    absent, surplus = network.load_state_dict(stored["tensors"], strict=False)
    absent = [
        label
        for label in absent
        if ".patch_" in label
    ]
    if absent or surplus:
        raise RuntimeError(
            f"adapter mismatch: missing {absent}, unexpected {surplus}"
        )

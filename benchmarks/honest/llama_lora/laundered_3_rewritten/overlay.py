# A trainable overlay: for chosen kinds of matrices, a thin product added to the frozen stack.
import torch
from torch import nn


class Overlay(nn.Module):
    def __init__(self, stacks, kinds, thin=8, weight=16.0, forget=0.0):
        super().__init__()
        chosen = {kind: stacks[kind] for kind in stacks.keys() if kind in set(kinds)}
        if not chosen:
            raise ValueError(f"the network has no matrices of kind {kinds}")
        self.recipe = {"kinds": list(kinds), "thin": thin, "weight": weight, "forget": forget}
        self.solid = False
        self.down = nn.ParameterDict()
        self.up = nn.ParameterDict()
        for kind, stack in chosen.items():
            count, rows, columns = stack.shape
            reach = columns ** -0.5
            self.down[kind] = stack.detach().new_empty(count, thin, columns).uniform_(-reach, reach)
            self.up[kind] = stack.detach().new_zeros(count, rows, thin)

    @property
    def gain(self):
        return self.recipe["weight"] / self.recipe["thin"]

    def contribution(self, kind, level, x):
        if self.solid or kind not in self.down:
            return 0
        x = nn.functional.dropout(x, self.recipe["forget"], self.training)
        return self.gain * torch.einsum("btc,rc,or->bto", x, self.down[kind][level],
                                        self.up[kind][level])


def cover(worm, **recipe):
    for tensor in worm.parameters():
        tensor.requires_grad_(False)
    worm.overlay = Overlay(worm.matrices, **recipe)


@torch.no_grad()
def solidify(worm, solid=True):
    """Bake the overlay into the stacks, or take it out again."""
    layer = worm.overlay
    if layer is None or layer.solid is solid:
        return
    sign = 1 if solid else -1
    for kind in layer.down.keys():
        worm.matrices[kind].baddbmm_(layer.up[kind], layer.down[kind], alpha=sign * layer.gain)
    layer.solid = solid


def store(worm, file):
    tensors = {name: tensor.detach().cpu() for name, tensor in worm.overlay.named_parameters()}
    torch.save((worm.overlay.recipe, tensors), file)


def fetch(worm, file):
    recipe, tensors = torch.load(file, map_location="cpu")
    if worm.overlay is None:
        cover(worm, **recipe)
    solidify(worm, False)
    wanted = dict(worm.overlay.named_parameters())
    odd = sorted(wanted.keys() ^ tensors.keys())
    if odd:
        raise RuntimeError(f"only one of network and file knows {odd}")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name])

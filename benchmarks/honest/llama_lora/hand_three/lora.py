"""Low-rank adapters for nnx.Linear layers, chosen by attribute name."""
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx


class Adapter(nnx.Variable):
    """Variable type of the trainable weights; everything else stays frozen."""


class LoRALinear(nnx.Module):
    def __init__(self, base: nnx.Linear, rank, alpha, rngs):
        n_in, n_out = base.kernel.value.shape
        self.base = base
        self.down = Adapter(nnx.initializers.he_uniform()(rngs.params(), (n_in, rank)))
        self.up = Adapter(jnp.zeros((rank, n_out)))
        self.scale = alpha / rank
        self.merged = False

    def __call__(self, x):
        y = self.base(x)
        if self.merged:
            return y
        low = x @ self.down.value.astype(x.dtype)
        return y + self.scale * (low @ self.up.value.astype(x.dtype))

    def fold(self, merged: bool):
        if merged == self.merged:
            return
        delta = self.scale * (self.down.value @ self.up.value)
        kernel = self.base.kernel.value
        self.base.kernel.value = kernel + delta if merged else kernel - delta
        self.merged = merged


def _find(model, kind):
    return [(path, node) for path, node in nnx.iter_graph(model) if isinstance(node, kind)]


def inject(model, targets=("q_proj", "v_proj"), rank=8, alpha=16.0, *, rngs):
    """Replace every Linear whose attribute name is in `targets`; returns how many."""
    chosen = [(path, node) for path, node in _find(model, nnx.Linear) if path[-1] in targets]
    if not chosen:
        raise ValueError(f"no linear layer is named any of {tuple(targets)}")
    for path, linear in chosen:
        parent = model
        for part in path[:-1]:
            parent = getattr(parent, part)
        setattr(parent, path[-1], LoRALinear(linear, rank, alpha, rngs))
    return len(chosen)


def merge(model):
    for _, layer in _find(model, LoRALinear):
        layer.fold(True)


def unmerge(model):
    for _, layer in _find(model, LoRALinear):
        layer.fold(False)


def save_adapter(model, folder, **settings):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for path, layer in _find(model, LoRALinear):
        name = ".".join(map(str, path))
        arrays[f"{name}.down"] = np.asarray(layer.down.value)
        arrays[f"{name}.up"] = np.asarray(layer.up.value)
    np.savez(folder / "adapter.npz", **arrays)
    (folder / "adapter.json").write_text(json.dumps(settings, indent=2))


def load_adapter(model, folder, *, rngs):
    """Inject adapters into a plain model as described in `folder` and fill in the weights."""
    folder = Path(folder)
    inject(model, **json.loads((folder / "adapter.json").read_text()), rngs=rngs)
    with np.load(folder / "adapter.npz") as arrays:
        for path, layer in _find(model, LoRALinear):
            name = ".".join(map(str, path))
            layer.down.value = jnp.asarray(arrays[f"{name}.down"])
            layer.up.value = jnp.asarray(arrays[f"{name}.up"])

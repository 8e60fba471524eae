"""Low-rank adapters as a second variable collection beside the frozen parameters."""
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from tide_net import AdapterSpec, TideNet


def write_tree(path, tree, **extra):
    flat = {k: np.asarray(v) for k, v in flatten_dict(tree, sep="/").items()}
    with open(path, "wb") as f:
        np.savez(f, **flat, **extra)


def read_tree(path):
    with np.load(path) as stored:
        flat = {k: stored[k] for k in stored.files}
    header = json.loads(str(flat.pop("header"))) if "header" in flat else None
    return unflatten_dict(flat, sep="/"), header


def init_variables(net, key):
    return net.init(key, jnp.zeros((1, 1), dtype=jnp.int32))


def attach(net, key, layers, rank=8, alpha=16.0, drop_rate=0.0):
    """Return the net with low-rank branches, and fresh adapter weights for it."""
    spec = AdapterSpec(tuple(layers), rank, alpha, drop_rate)
    net = TideNet(dataclasses.replace(net.cfg, adapter=spec))
    variables = init_variables(net, key)
    if "adapter" not in variables:
        raise ValueError(f"no dense layers are named {layers}")
    return net, variables["adapter"]


def _shift(params, adapter, amount):
    flat, low = flatten_dict(params), flatten_dict(adapter)
    for path in low:
        if path[-1] == "low_a":
            parent = path[:-1]
            delta = low[parent + ("low_a",)] @ low[parent + ("low_b",)] * amount
            flat[parent + ("kernel",)] = flat[parent + ("kernel",)] + delta
    return unflatten_dict(flat)


def fold_in(net, params, adapter):
    """Add the adapters to the kernels; the returned net has no branches any more."""
    plain = TideNet(dataclasses.replace(net.cfg, adapter=None))
    return plain, _shift(params, adapter, net.cfg.adapter.scale)


def fold_out(net, params, adapter, spec):
    branched = TideNet(dataclasses.replace(net.cfg, adapter=spec))
    return branched, _shift(params, adapter, -spec.scale)


def write_adapter(net, adapter, path):
    header = json.dumps(dataclasses.asdict(net.cfg.adapter))
    write_tree(path, adapter, header=np.array(header))


def read_adapter(net, path):
    """Give the net branches if it has none yet, then return it with the stored weights."""
    weights, header = read_tree(path)
    if net.cfg.adapter is None:
        header["layers"] = tuple(header["layers"])
        net = TideNet(dataclasses.replace(net.cfg, adapter=AdapterSpec(**header)))
    shapes = jax.eval_shape(lambda key: init_variables(net, key), jax.random.PRNGKey(0))
    wanted, given = flatten_dict(shapes.get("adapter", {}), sep="/"), flatten_dict(weights, sep="/")
    missing = [k for k in wanted if k not in given]
    unexpected = [k for k in given if k not in wanted]
    if missing or unexpected:
        raise RuntimeError(f"adapter file differs: missing {missing}, unexpected {unexpected}")
    return net, jax.tree_util.tree_map(jnp.asarray, weights)

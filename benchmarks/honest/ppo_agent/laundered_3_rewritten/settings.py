"""One nested namespace holds every number of an experiment; `--set a.b=3` changes one of them."""

import ast
from types import SimpleNamespace

TABLE = {
    "task.name": "CartPole-v1",
    "task.lanes": 8,
    "task.ticks": 128,
    "task.total": 200_000,
    "task.seed": 0,
    "net.width": 64,
    "net.layers": 2,
    "net.recurrent": False,
    "net.state": 64,
    "net.log_scale": 0.0,
    "net.input_cap": 10.0,
    "credit.discount": 0.99,
    "credit.smoothing": 0.95,
    "opt.rate": 3e-4,
    "opt.eps": 1e-5,
    "opt.sweeps": 4,
    "opt.splits": 4,
    "opt.max_norm": 0.5,
    "loss.band": 0.2,
    "loss.critic_band": 0.2,
    "loss.critic": 0.5,
    "loss.explore": (0.01, 0.0),
    "loss.max_kl": 0.03,
    "io.root": "runs/ppo",
    "io.print_each": 5,
    "io.store_each": 50,
}


def make_settings(changes=()):
    """changes: strings such as "opt.rate=1e-3"."""
    flat = dict(TABLE)
    for change in changes:
        key, _, text = change.partition("=")
        if key not in flat:
            raise KeyError(key)
        flat[key] = text if isinstance(flat[key], str) else ast.literal_eval(text)
    tree = SimpleNamespace(flat=flat)
    for key, value in flat.items():
        group, leaf = key.split(".")
        if not hasattr(tree, group):
            setattr(tree, group, SimpleNamespace())
        setattr(getattr(tree, group), leaf, value)
    tree.rounds = tree.task.total // (tree.task.lanes * tree.task.ticks)
    return tree

"""Everything that can be configured, in one nested dictionary-like object."""

from types import SimpleNamespace


def default_spec(**changes) -> SimpleNamespace:
    spec = SimpleNamespace(
        edge=336,
        grain=14,
        budget=9,
        budget_pull=0.3,
        colour=((0.5, 0.5), (0.5, 0.5), (0.5, 0.5)),  # (offset, spread) for R, G and B
        d_eye=768,
        d_mouth=2048,
        heads=16,
        probe_side=8,
        rounds=1,
        widen=2.0,
    )
    unknown = changes.keys() - vars(spec).keys()
    if unknown:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    vars(spec).update(changes)
    return spec

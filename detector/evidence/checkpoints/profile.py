"""The profile of the standard deviations of attention matrices over the layers of a model.

Yoon et al. 2025, "Intrinsic Fingerprint of LLMs: Continue Training is NOT All You Need to Steal A Model!"
(arXiv:2507.03014): the standard deviations of the query, key, value and output matrices, layer by layer and
standardised over the layers, stay recognisable through further training, pruning of width, and upcycling.

Its known weaknesses, for which it never says more than "weak" here: initialisations that depend on depth
give unrelated models the same trend; a profile is a few dozen numbers, so that by chance some of the many
models in the world lie close; rescaling weights between layers erases it; and the paper's own attribution
is disputed. A straight line over the depth is therefore taken out before profiles are correlated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from detector.evidence.checkpoints.layout import Tensor

LEAST_LAYERS = 8
"""shorter profiles agree too easily"""
_ROLES = {
    "q": re.compile(r"(?:^|\.)(?:q_proj|q_lin|query|wq|to_q|attn_q|q)\.weight$"),
    "k": re.compile(r"(?:^|\.)(?:k_proj|k_lin|key|wk|to_k|attn_k|k)\.weight$"),
    "v": re.compile(r"(?:^|\.)(?:v_proj|v_lin|value|wv|to_v|attn_v|v)\.weight$"),
    "o": re.compile(
        r"(?:^|\.)(?:o_proj|out_proj|out_lin|wo|to_out\.0|attn_output|attn\.c_proj|attn\.proj|attention\.output\.dense)\.weight$"
    ),
    "qkv": re.compile(
        r"(?:^|\.)(?:qkv|qkv_proj|query_key_value|c_attn|attn_qkv|in_proj_weight|W_pack)(?:\.weight)?$"
    ),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Correlation of two profiles of one role over `layers` layers, before and after the linear trend is
    taken out.
    """

    role: str
    layers: int
    correlation: float
    detrended: float


def attention_matrices(tensors: Iterable[Tensor]) -> dict[str, dict[int, Tensor]]:
    """Role ("q", "k", "v", "o", "qkv") -> layer -> matrix, of the stack that has the most layers."""
    stacks: dict[tuple[str, str], dict[int, Tensor]] = {}
    for tensor in tensors:
        role = next((role for role, expression in _ROLES.items() if expression.search(tensor.name)), None)
        parts = tensor.name.split(".")
        index = next((at for at, part in enumerate(parts) if part.isdigit()), None)
        if role is not None and index is not None and tensor.shape is not None and len(tensor.shape) == 2:
            stacks.setdefault((role, ".".join(parts[:index])), {})[int(parts[index][:9])] = tensor
    chosen: dict[str, dict[int, Tensor]] = {}
    for (role, _), layers in sorted(stacks.items()):
        if len(layers) > len(chosen.get(role, {})):
            chosen[role] = layers
    return chosen


def compare_profiles(a: Mapping[str, list[float]], b: Mapping[str, list[float]]) -> list[Agreement]:
    """Compare profiles (role -> standard deviation by layer); roles with too few or different numbers of
    layers drop out.

    A profile is compared with one of another depth after resampling it at the relative depths of the
    shorter.
    """
    import numpy as np  # noqa: PLC0415

    found = []
    for role in sorted(a.keys() & b.keys()):
        layers = min(len(a[role]), len(b[role]))
        if layers < LEAST_LAYERS:
            continue
        depth = np.linspace(0.0, 1.0, layers)
        one, other = (np.interp(depth, np.linspace(0.0, 1.0, len(side[role])), side[role]) for side in (a, b))
        flat = [side - np.polyval(np.polyfit(depth, side, 1), depth) for side in (one, other)]
        if min(one.std(), other.std(), flat[0].std(), flat[1].std()) < 1e-12:
            continue
        plain, detrended = (float(np.corrcoef(*sides)[0, 1]) for sides in ((one, other), flat))
        found.append(Agreement(role, layers, plain, detrended))
    return found

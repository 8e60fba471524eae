'''
Prose decoder: an autoregressive transformer whose weights live in a dictionary.

Index letters used by the contractions below: b sample, t new position,
s stored position, d channel, k shared head, r head of a group,
h channel of a head.
'''
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class DecoderSpec:
    n_symbols: int
    channels: int = 512
    depth: int = 8
    n_heads: int = 8
    n_groups: int = 2
    inner: int = 1408
    span: int = 1024
    base: float = 10000.0
    tiny: float = 1e-6

    def __post_init__(self):
        if (
            self.channels % self.n_heads
            or self.n_heads % self.n_groups
        ):
            raise ValueError(
                'channels must be a multiple of n_heads '
                'and n_heads a multiple of n_groups'
            )
        if self.per_head % 2:
            raise ValueError('the channels of a head must be even')

    @property
    def per_head(self):
        return self.channels // self.n_heads


def make_weights(spec, random_state=0):
    source = torch.Generator().manual_seed(random_state)
    wide, groups, members, small, inner = (
        spec.channels,
        spec.n_groups,
        spec.n_heads // spec.n_groups,
        spec.per_head,
        spec.inner,
    )
    # outputs of the branches shrink with the number of branches
    shrink = (2 * spec.depth) ** -0.5
    weights = {
        'symbols': 0.02 * torch.randn(spec.n_symbols, wide, generator=source),
        'last_scale': torch.ones(wide),
    }
    for level in range(spec.depth):
        plan = {
            'query': ((wide, groups, members, small), wide ** -0.5),
            'key': ((wide, groups, small), wide ** -0.5),
            'value': ((wide, groups, small), wide ** -0.5),
            'merge': ((groups, members, small, wide), wide ** -0.5 * shrink),
            'switch': ((wide, inner), wide ** -0.5),
            'widen': ((wide, inner), wide ** -0.5),
            'narrow': ((inner, wide), inner ** -0.5 * shrink),
        }
        for label, (dims, spread) in plan.items():
            weights[f'{level}.{label}'] = spread * torch.randn(
                *dims,
                generator=source,
            )
        weights[f'{level}.scale_a'], weights[f'{level}.scale_b'] = (
            torch.ones(wide),
            torch.ones(wide),
        )
    return {
        label: tensor.requires_grad_() for label, tensor in weights.items()
    }


def normalize(hidden, scale, tiny):
    precise = hidden.float()
    return (
        precise
        * torch.rsqrt(precise.square().mean(-1, keepdim=True) + tiny)
    ).to(hidden.dtype) * scale


def make_turns(spec, first, count, where):
    '''Complex turning factors, one row for each position.'''
    speeds = spec.base ** -(
        torch.arange(0, spec.per_head, 2, device=where) / spec.per_head
    )
    places = torch.arange(first, first + count, device=where)
    radians = torch.outer(places.float(), speeds)
    return torch.polar(torch.ones_like(radians), radians)


def apply_turns(vectors, turns):
    '''Treat neighbouring channels as complex numbers and multiply.'''
    turns = turns.reshape(
        turns.shape[0],
        *[1] * (vectors.ndim - 3),
        turns.shape[1],
    )
    as_complex = torch.view_as_complex(
        vectors.float().unflatten(-1, (-1, 2)).contiguous()
    )
    return torch.view_as_real(as_complex * turns).flatten(-2).to(
        vectors.dtype
    )


def new_memory(spec, n_samples, where, kind=torch.float32):
    '''Room for the keys and values of every level and a fill mark.'''
    return {
        'store': torch.zeros(
            spec.depth,
            2,
            n_samples,
            spec.span,
            spec.n_groups,
            spec.per_head,
            device=where,
            dtype=kind,
        ),
        'used': 0,
    }


def mix_positions(weights, spec, level, hidden, turns, visible, memory):
    query = apply_turns(
        torch.einsum('btd,dkrh->btkrh', hidden, weights[f'{level}.query']),
        turns,
    )
    key = apply_turns(
        torch.einsum('btd,dkh->btkh', hidden, weights[f'{level}.key']),
        turns,
    )
    value = torch.einsum('btd,dkh->btkh', hidden, weights[f'{level}.value'])
    if memory is not None:
        used, fresh = memory['used'], hidden.shape[1]
        memory['store'][level, 0, :, used:used + fresh] = key
        memory['store'][level, 1, :, used:used + fresh] = value
        key, value = memory['store'][level, :, :, :used + fresh]
    affinity = (
        torch.einsum('btkrh,bskh->bkrts', query, key)
        * spec.per_head ** -0.5
    )
    portions = (
        affinity.float()
        .masked_fill(~visible, -torch.inf)
        .softmax(-1)
        .to(hidden.dtype)
    )
    return torch.einsum(
        'bkrts,bskh,krhd->btd',
        portions,
        value,
        weights[f'{level}.merge'],
    )


def mix_channels(weights, level, hidden):
    return (
        F.silu(hidden @ weights[f'{level}.switch'])
        * (hidden @ weights[f'{level}.widen'])
    ) @ weights[f'{level}.narrow']


def score_next(weights, spec, symbols, memory=None):
    '''
    Scores of the symbol that follows each position. If a memory is passed,
    the symbols come after the ones it has seen and it is updated.
    '''
    used = memory['used'] if memory else 0
    fresh = symbols.shape[1]
    if used + fresh > spec.span:
        raise ValueError(
            f'a span of {spec.span} cannot hold {used + fresh} symbols'
        )
    turns = make_turns(spec, used, fresh, symbols.device)
    row, column = (
        torch.arange(used, used + fresh, device=symbols.device),
        torch.arange(used + fresh, device=symbols.device),
    )
    visible = row[:, None] >= column
    hidden = weights['symbols'][symbols] * spec.channels ** 0.5
    for level in range(spec.depth):
        hidden = hidden + mix_positions(
            weights,
            spec,
            level,
            normalize(hidden, weights[f'{level}.scale_a'], spec.tiny),
            turns,
            visible,
            memory,
        )
        hidden = hidden + mix_channels(
            weights,
            level,
            normalize(hidden, weights[f'{level}.scale_b'], spec.tiny),
        )
    if memory:
        memory['used'] = used + fresh
    return torch.einsum(
        'btd,vd->btv',
        normalize(hidden, weights['last_scale'], spec.tiny),
        weights['symbols'],
    )


def surprise(weights, spec, symbols, answers):
    '''Surprise at each answer in nats; answers of -1 are left out.'''
    scores = score_next(weights, spec, symbols).float()
    return F.cross_entropy(
        scores.transpose(1, 2),
        answers,
        ignore_index=-1,
        reduction='none',
    )

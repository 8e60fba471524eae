"""The network as functions over a dictionary of tensors.

The weights of equal kind of all floors lie in one tensor whose first axis is the floor.
"""
import math

import torch

TILE = 256
SPREAD = 0.02
GELU_A = math.sqrt(2.0 / math.pi)
GELU_B = 0.044715
FLOOR_PARTS = ("even1", "even2", "look", "tell", "grow", "fold")


def blueprint(net):
    """name -> (shape, how it starts, whether it is shrunk); a number is a standard deviation."""
    if net["girth"] % net["eyes"] != 0:
        raise ValueError("girth has to be a multiple of eyes")
    n, g = net["floors"], net["girth"]
    thin = SPREAD / math.sqrt(n + n)
    plan = {
        "symbol": ((net["symbols"], g), SPREAD, True),
        "spot": ((net["reach"], g), SPREAD, True),
        "look.w": ((n, g, 3 * g), SPREAD, True),
        "look.b": ((n, 3 * g), "zeros", False),
        "tell.w": ((n, g, g), thin, True),
        "tell.b": ((n, g), "zeros", False),
        "grow.w": ((n, g, 4 * g), SPREAD, True),
        "grow.b": ((n, 4 * g), "zeros", False),
        "fold.w": ((n, 4 * g, g), thin, True),
        "fold.b": ((n, g), "zeros", False),
    }
    for name, shape in (("even1", (n, g)), ("even2", (n, g)), ("even3", (g,))):
        plan[name + ".w"] = (shape, "ones", False)
        plan[name + ".b"] = (shape, "zeros", False)
    return plan


def newborn(net, place):
    weights = {}
    for name, (shape, start, _) in blueprint(net).items():
        if start == "ones":
            tensor = torch.ones(shape)
        elif start == "zeros":
            tensor = torch.zeros(shape)
        else:
            tensor = torch.randn(shape) * start
        weights[name] = tensor.to(place).requires_grad_()
    return weights


def even(x, gain, shift):
    centred = x - x.mean(-1, keepdim=True)
    energy = centred.square().mean(-1, keepdim=True)
    return torch.addcmul(shift, centred * torch.rsqrt(energy + 1e-5), gain)


def bend(x):
    return x * (0.5 + 0.5 * torch.tanh(GELU_A * (x + GELU_B * x**3)))


def lose(x, share):
    if share <= 0:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - share).div_(1 - share)


def gaze(query, key, value, share):
    """Backward-looking attention, a tile of queries at a time; keys nobody may see are not read."""
    count = query.shape[2]
    before = key.shape[2] - count
    query = query / math.sqrt(query.shape[3])
    tiles = []
    for low in range(0, count, TILE):
        high = min(low + TILE, count)
        seen = before + high
        wall = torch.full((high - low, seen), -math.inf, device=query.device).triu_(before + low + 1)
        match = query[:, :, low:high].matmul(key[:, :, :seen].transpose(2, 3)) + wall
        match = torch.exp(match - match.amax(-1, keepdim=True))
        match = lose(match / match.sum(-1, keepdim=True), share)
        tiles.append(match.matmul(value[:, :, :seen]))
    return torch.cat(tiles, 2)


def climb(weights, net, symbols, memory=None, learning=False):
    """Last hidden states of `symbols`, which follow what `memory` (a list, grown here) holds."""
    share = net["forget"] if learning else 0.0
    before = memory[0][0].shape[2] if memory else 0
    after = before + symbols.shape[1]
    if after > net["reach"]:
        raise ValueError(f"{after} symbols are beyond the reach of {net['reach']}")

    x = lose(weights["symbol"][symbols] + weights["spot"][before:after], share)
    remembered = []
    slabs = {name: t.unbind(0) for name, t in weights.items() if name.startswith(FLOOR_PARTS)}
    for floor in range(net["floors"]):
        w = {name: slab[floor] for name, slab in slabs.items()}

        calm = even(x, w["even1.w"], w["even1.b"])
        parts = (calm @ w["look.w"] + w["look.b"]).split(net["girth"], -1)
        query, key, value = (
            torch.stack(part.split(net["girth"] // net["eyes"], -1), 1) for part in parts
        )
        if memory:
            key = torch.cat((memory[floor][0], key), 2)
            value = torch.cat((memory[floor][1], value), 2)
        remembered.append((key, value))
        seen = torch.cat(gaze(query, key, value, share).unbind(1), -1)
        x = x + lose(seen @ w["tell.w"] + w["tell.b"], share)

        calm = even(x, w["even2.w"], w["even2.b"])
        x = x + lose(bend(calm @ w["grow.w"] + w["grow.b"]) @ w["fold.w"] + w["fold.b"], share)
    if memory is not None:
        memory[:] = remembered
    return even(x, weights["even3.w"], weights["even3.b"])


def votes(weights, hidden):
    return torch.einsum("...g,sg->...s", hidden, weights["symbol"])


def astonishment(weights, net, sheet, learning):
    """Mean of -log p(next symbol) over a sheet of excerpts, in nats."""
    scores = votes(weights, climb(weights, net, sheet[:, :-1], learning=learning)).float()
    right = scores.gather(2, sheet[:, 1:, None])[..., 0]
    return (scores.logsumexp(2) - right).mean()

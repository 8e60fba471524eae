"""AdamW, gradient clipping, the schedule and loss scaling on dictionaries of tensors."""
import math

import torch

KEEP_MEAN, KEEP_SQUARE, TINY = 0.9, 0.95, 1e-8


def pace(knobs):
    """The learning rate as a function of the turn."""
    middle = (knobs.rate + knobs.rate_end) / 2
    swing = (knobs.rate - knobs.rate_end) / 2
    fall = max(1, knobs.until - knobs.rise)

    def at(turn):
        if turn + 1 <= knobs.rise:
            return knobs.rate * ((turn + 1) / knobs.rise)
        return middle + swing * math.cos(math.pi * min(turn - knobs.rise, fall) / fall)

    return at


def fresh_state(weights, cautious):
    return {
        "turns": 0,
        "mean": {name: torch.zeros_like(w).detach() for name, w in weights.items()},
        "square": {name: torch.zeros_like(w).detach() for name, w in weights.items()},
        "zoom": 65536.0 if cautious else 1.0,
        "calm": 0,
    }


def length_of(slopes):
    return math.sqrt(sum(float(s.double().square().sum()) for s in slopes.values()))


def adjust_zoom(state, healthy):
    """Halve the loss scale on overflow, double it after 2000 healthy turns."""
    if not healthy:
        state["zoom"] /= 2
        state["calm"] = 0
        return
    state["calm"] += 1
    if state["calm"] == 2000:
        state["zoom"] *= 2
        state["calm"] = 0


@torch.no_grad()
def walk(weights, slopes, state, speed, shrunk, shrink, leash, cautious):
    """Move the weights in place; `slopes` are still multiplied by the zoom."""
    slopes = {name: s / state["zoom"] for name, s in slopes.items()}
    length = length_of(slopes)
    if cautious:
        healthy = math.isfinite(length)
        adjust_zoom(state, healthy)
        if not healthy:
            return
    pull = min(1.0, leash / (length + 1e-6))

    state["turns"] += 1
    mean_share = 1 - KEEP_MEAN ** state["turns"]
    square_share = 1 - KEEP_SQUARE ** state["turns"]
    for name, w in weights.items():
        slope = slopes[name] * pull
        mean, square = state["mean"][name], state["square"][name]
        mean += (slope - mean) * (1 - KEEP_MEAN)
        square += (slope * slope - square) * (1 - KEEP_SQUARE)
        move = (mean / mean_share) / ((square / square_share).sqrt() + TINY)
        if name in shrunk:
            move += shrink * w
        w -= speed * move

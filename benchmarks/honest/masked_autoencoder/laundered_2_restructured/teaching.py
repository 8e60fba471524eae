"""Optimiser groups and the learning step shared by both training programs."""
import math

import torch


def is_shrunk(name, weight):
    """Matrices are decayed; biases, norms and the extra tokens are not."""
    return not (name.endswith("_tok") or weight.dim() < 2)


def two_groups(shrink, network):
    named = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    return [
        dict(weight_decay=shrink, params=[weight for name, weight in named if is_shrunk(name, weight)]),
        dict(weight_decay=0.0, params=[weight for name, weight in named if not is_shrunk(name, weight)]),
    ]


def height_of(name, top):
    parts = name.split(".")
    if parts[0] != "reader":
        return top
    if parts[1] == "layers":
        return 1 + int(parts[2])
    return 0 if parts[1] in ("entry", "extra_tok") else top


def graded_groups(shrink, fade, length, sorter):
    """One group for each layer and kind of weight; the lower the layer, the slower it learns."""
    top = length + 1
    collected = {}
    for name, weight in sorter.named_parameters():
        key = height_of(name, top), is_shrunk(name, weight)
        collected.setdefault(key, []).append(weight)
    return [dict(params=weights, slow=fade ** (top - height), weight_decay=shrink if shrunk else 0.0)
            for (height, shrunk), weights in collected.items()]


class Teacher:
    """Owns device, loss scaler and learning rate curve (a straight rise, then half a cosine)."""

    def __init__(self, optimiser, device, peak, rise, length, bottom=0.0):
        self.optimiser, self.device = optimiser, device
        self.peak, self.bottom = peak, bottom
        self.rise, self.length = rise, length
        self.half = device == "cuda"
        self.scaler = torch.amp.GradScaler(device, enabled=self.half)
        self.count = 0

    @property
    def rate(self):
        past = self.count - self.rise
        if past < 0:
            return (self.count + 1) / self.rise * self.peak
        turn = math.pi * past / max(self.length - self.rise, 1)
        return (self.peak - self.bottom) * (math.cos(turn) + 1) / 2 + self.bottom

    def prepare(self):
        rate = self.rate
        for group in self.optimiser.param_groups:
            group["lr"] = group.get("slow", 1.0) * rate
        self.count += 1

    def learn(self, compute):
        """One update on what compute() returns; gives the loss as a number."""
        self.prepare()
        with torch.autocast(self.device, enabled=self.half):
            loss = compute()
        value = loss.item()
        if not math.isfinite(value):
            raise RuntimeError(f"loss is {value} after {self.count} updates")
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return value


def pick_device():
    if torch.cuda.is_available():
        return "cuda"
    return "cpu"

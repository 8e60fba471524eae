"""Gradient descent on the cost in bits: own Adam, own batches, a trailing copy of the memory."""
from dataclasses import asdict, dataclass

import numpy as np
import torch

from machine import cost, dissolve
from program import Spec, blank_memory, duplicate, learned_tensors


@dataclass
class Plan:
    octaves: int = 3
    rounds: int = 16
    breadth: int = 256
    packed: bool = True
    bits: int = 8
    odds: bool = False
    batch: int = 64
    epochs: int = 50
    rate: float = 5e-4
    ramp: int = 1000
    ceiling: float = 50.0
    trail: float = 0.999
    seed: int = 0
    out: str = "millrace.pt"


class Adam:
    def __init__(self, tensors):
        self.slots = [(t, torch.zeros_like(t), torch.zeros_like(t)) for t in tensors]
        self.turn = 0

    @torch.no_grad()
    def move(self, gradients, rate, fade=0.9, fade_square=0.999, tiny=1e-8):
        self.turn += 1
        fill, fill_square = 1 - fade ** self.turn, 1 - fade_square ** self.turn
        for (t, drift, power), g in zip(self.slots, gradients):
            drift += (1 - fade) * (g - drift)
            power += (1 - fade_square) * (g * g - power)
            t -= rate / fill * drift / ((power / fill_square).sqrt() + tiny)


def read_bytes(path):
    array = np.load(path)
    if array.ndim == 4 and array.dtype == np.uint8:
        return torch.from_numpy(array)
    raise ValueError(f"{path}: four axes (N, H, W, C) of uint8 are needed")


def sliced(images, order, size, whole=False):
    stop = len(order) - len(order) % size if whole else len(order)
    for begin in range(0, stop, size):
        yield images[order[begin:min(begin + size, stop)]]


def shuffled(order):
    return order[torch.randperm(len(order))]


@torch.no_grad()
def trail(behind, memory, count, limit):
    share = 1 - min(limit, (count + 1) / (count + 10))
    for old, new in zip(behind, memory):
        for name, t in new.items():
            if t.requires_grad:
                old[name] += share * (t - old[name])


@torch.no_grad()
def exam(spec, memory, images, order, size, device):
    marks = torch.cat([cost(spec, memory, part.to(device))
                       for part in sliced(images, order, size)])
    return float(marks.mean())


def learn(path, plan):
    torch.manual_seed(plan.seed)
    device = ("cpu", "cuda")[torch.cuda.is_available()]
    images = read_bytes(path)
    order = torch.randperm(len(images))
    unseen, seen = order.tensor_split([max(1, len(images) // 20)])

    height, width, colours = images.shape[1:]
    spec = Spec(height, width, colours, plan.octaves, plan.rounds, plan.breadth, plan.packed,
                plan.bits, plan.odds)
    memory = blank_memory(spec, device)
    tensors = learned_tensors(memory)
    with torch.no_grad():
        sample = next(sliced(images, shuffled(seen), plan.batch, whole=True))
        dissolve(spec, memory, sample.to(device), levelling=True)
    behind = duplicate(memory)
    adam = Adam(tensors)

    count = 0
    for epoch in range(plan.epochs):
        for part in sliced(images, shuffled(seen), plan.batch, whole=True):
            bits = cost(spec, memory, part.to(device)).mean()
            gradients = torch.autograd.grad(bits, tensors)
            size = torch.cat([g.flatten() for g in gradients]).norm()
            if size.isfinite():
                shrink = min(1.0, plan.ceiling / (float(size) + 1e-6))
                rate = plan.rate * min(1.0, (count + 1) / plan.ramp)
                adam.move([shrink * g for g in gradients], rate)
                trail(behind, memory, count, plan.trail)
            count += 1
            if not count % 100:
                print(f"{count:7d}  {float(bits):.4f} bits  slope {float(size):.2f}")
        mark = exam(spec, behind, images, unseen, plan.batch, device)
        print(f"after epoch {epoch}: {mark:.4f} bits on unseen images")
        torch.save({"spec": asdict(spec), "memory": behind}, plan.out)

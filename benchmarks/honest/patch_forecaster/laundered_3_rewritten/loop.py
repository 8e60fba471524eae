"""Learning and judging."""
import math
from contextlib import contextmanager

import torch


def tilt(told, truth, levels):
    """max(q e, (q - 1) e) in its symmetric form: half the distance plus a lean to one side."""
    e = truth[..., None] - told
    return e.abs() / 2 + (levels - 0.5) * e


PENALTIES = {
    "square": lambda told, truth, _: (told[..., 0] - truth) ** 2,
    "distance": lambda told, truth, _: (told[..., 0] - truth).abs(),
    "tilt": tilt,
}


def bell(turn, turns, peak, rise=0.3):
    """Pace and momentum at one turn: half a cosine up, half a cosine down, momentum the other way."""
    top, last = rise * turns - 1, turns - 1
    if turn <= top:
        done = turn / top if top else 1.0
        low = peak / 25
    else:
        done = (last - turn) / (last - top)
        low = peak / 25 / 1e4
    height = (1 - math.cos(math.pi * done)) / 2
    return low + (peak - low) * height, 0.95 - 0.10 * height


def rein(parameters, limit):
    slopes = [p.grad for p in parameters if p.grad is not None]
    length = torch.stack([s.norm() for s in slopes]).norm()
    factor = (limit / (length + 1e-6)).clamp(max=1.0)
    for s in slopes:
        s *= factor


@contextmanager
def at_rest(net):
    if isinstance(net, torch.nn.Module):
        net.eval()
    with torch.no_grad():
        yield net


class Apprentice:
    """One net on its way through the learning rows."""

    def __init__(self, net, grid, wish, levels, device):
        self.net, self.grid, self.wish, self.levels, self.device = net, grid, wish, levels, device
        if wish.penalty not in PENALTIES:
            raise ValueError(f"penalty must be one of {', '.join(PENALTIES)}")
        self.turn, self.turns = 0, wish.rounds * grid.turns("learn", wish.batch)
        self.mover = torch.optim.AdamW(net.parameters(), lr=wish.pace, weight_decay=wish.shrink)

    def cost(self, seen, unseen):
        return PENALTIES[self.wish.penalty](self.net(seen), unseen, self.levels).mean()

    def nudge(self, seen, unseen):
        pace, momentum = bell(self.turn, self.turns, self.wish.pace)
        for group in self.mover.param_groups:
            group.update(lr=pace, betas=(momentum, group["betas"][1]))
        self.mover.zero_grad()
        cost = self.cost(seen, unseen)
        cost.backward()
        rein(list(self.net.parameters()), self.wish.rein)
        self.mover.step()
        self.turn += 1
        return cost.item()

    def rounds(self):
        """Yield (cost while learning, cost when checked) after each round."""
        for _ in range(self.wish.rounds):
            self.net.train()
            learnt = [self.nudge(*pair) for pair in self.grid.draw("learn", self.wish.batch, self.device, mixed=True)]
            with at_rest(self.net):
                checked = [(len(seen), self.cost(seen, unseen).item())
                           for seen, unseen in self.grid.draw("check", self.wish.batch, self.device)]
            weight = math.fsum(n for n, _ in checked)
            yield math.fsum(learnt) / len(learnt), math.fsum(n * c for n, c in checked) / weight

    def snapshot(self):
        return {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def graduate(self):
        record, record_round, record_state = math.inf, -1, self.snapshot()
        for now, (learnt, checked) in enumerate(self.rounds()):
            print(f"{now:4d}: learnt {learnt:.4f}, checked {checked:.4f}", flush=True)
            if checked < record:
                record, record_round, record_state = checked, now, self.snapshot()
            elif now - record_round >= self.wish.patience:
                print(f"nothing better since round {record_round}")
                break
        self.net.load_state_dict(record_state)


def judge(net, grid, amount, levels, jumpiness, device):
    """Four marks from one running row of sums: e^2, |e|, |e| / jumpiness, |truth|, count, then a tilt per level."""
    ranked = sorted(range(len(levels)), key=lambda i: abs(levels[i].item() - 0.5))
    tally = torch.zeros(5 + len(levels), dtype=torch.float64)
    jumpiness = jumpiness.to(device)
    with at_rest(net):
        for seen, unseen in grid.draw("judge", amount, device):
            told = net(seen)
            off = (told[..., ranked[0]] - unseen).abs()
            entries = torch.stack([off * off, off, off / jumpiness, unseen.abs(), torch.ones_like(off)], dim=-1)
            entries = torch.cat([entries, tilt(told, unseen, levels)], dim=-1)
            tally += entries.sum(dim=(0, 1, 2)).double().cpu()
    (square, distance, relative, volume, count), tilts = tally[:5].tolist(), tally[5:].tolist()
    return {
        "mse": square / count,
        "mae": distance / count,
        "mase": relative / count,
        "wql": 2 * math.fsum(tilts) / len(tilts) / max(volume, 1e-8),
    }

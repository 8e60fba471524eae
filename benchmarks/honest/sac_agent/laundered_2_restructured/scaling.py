"""Running statistics of the sensors, and the range of the actuators."""
import torch


def fresh_stats(n, device):
    return {
        "count": torch.full((), 1e-4, dtype=torch.float64, device=device),
        "var": torch.ones(n, dtype=torch.float64, device=device),
        "mean": torch.zeros(n, dtype=torch.float64, device=device),
    }


def merged_stats(stats, rows):
    """Statistics over everything seen before and the new rows (Chan's formula)."""
    rows = rows.to(torch.float64)
    n = len(rows)
    new_var, new_mean = torch.var_mean(rows, dim=0, correction=0)
    old_mean, old_var, old_n = stats["mean"], stats["var"], stats["count"]
    everything = old_n + n
    gap = new_mean - old_mean
    between = gap.square() * old_n * n / everything
    return {
        "count": everything,
        "mean": old_mean + gap * n / everything,
        "var": (old_n * old_var + n * new_var + between) / everything,
    }


def whiten(stats, x, bound=10.0):
    centred = x - stats["mean"].to(torch.float32)
    z = centred * torch.rsqrt(stats["var"].to(torch.float32) + 1e-8)
    return torch.clamp(z, min=-bound, max=bound)


def to_actuator(space, a):
    half = (space.high - space.low) / 2.0
    return space.low + half * (1.0 + a)

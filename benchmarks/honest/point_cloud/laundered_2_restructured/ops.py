"""Tensor routines for batched coordinates; every tensor is (batch, rows, columns)."""
import torch


def take_rows(idx, src):
    """Look up rows of `src` by a (batch, ...) index of any rank."""
    n_batch, _, n_cols = src.shape
    flat = idx.reshape(n_batch, -1, 1).expand(-1, -1, n_cols)
    return torch.gather(src, 1, flat).reshape(*idx.shape, n_cols)


def _squared_distance_to(xyz, row):
    offset = xyz - take_rows(row[:, None], xyz)
    return (offset ** 2).sum(dim=2)


def pick_spread_out(k, xyz):
    """Greedy selection: each new row is the one furthest from all rows taken before."""
    n_batch, n_rows = xyz.shape[:2]
    if n_rows < k:
        raise ValueError(f"{k} seeds requested but a scan only has {n_rows} rows")
    with torch.no_grad():
        current = torch.randint(0, n_rows, (n_batch,), device=xyz.device)
        picks = [current]
        nearest = _squared_distance_to(xyz, current)
        while len(picks) < k:
            current = torch.argmax(nearest, dim=1)
            picks.append(current)
            nearest = torch.min(nearest, _squared_distance_to(xyz, current))
        return torch.stack(picks, dim=1)


def rows_near(seeds, xyz, k, r):
    """Indices of the k closest rows; those further away than r become the closest one."""
    with torch.no_grad():
        dist, idx = torch.sort(torch.cdist(seeds, xyz), dim=-1)
        dist, idx = dist[..., :k], idx[..., :k]
        first = idx[..., 0:1].expand_as(idx)
        inside = dist <= r
        return torch.where(inside, idx, first)


def group_around(seeds, xyz, extra, k, r):
    """Neighbourhoods in seed-relative coordinates, with extra columns appended if given."""
    idx = rows_near(seeds, xyz, k, r)
    relative = take_rows(idx, xyz) - seeds[:, :, None, :]
    if extra is None:
        return relative
    return torch.cat((relative, take_rows(idx, extra)), dim=3)

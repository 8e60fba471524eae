"""Everything that happens to picture cells outside of a network."""
import torch


def to_cells(cell, pics):
    planes, height, width = pics.shape[1:]
    down, across = height // cell, width // cell
    split = pics.reshape(-1, planes, down, cell, across, cell)
    split = torch.einsum("nchpwq->nhwpqc", split)
    return split.flatten(3).flatten(1, 2)


def from_cells(cell, planes, cells):
    per_side = round(cells.size(1) ** 0.5)
    split = cells.unflatten(2, (cell, cell, planes)).unflatten(1, (per_side, per_side))
    joined = torch.einsum("nhwpqc->nchpwq", split)
    return joined.flatten(4, 5).flatten(2, 3)


def cell_moments(cells):
    """Mean and (stabilised) standard deviation of every cell."""
    variance, mean = torch.var_mean(cells, dim=-1, keepdim=True)
    return mean, torch.sqrt(variance + 1e-6)


def _wave_1d(features, count):
    quarter = features // 4
    steps = torch.arange(quarter, dtype=torch.float64) / quarter
    angles = torch.outer(torch.arange(count, dtype=torch.float64), torch.pow(10000, steps).reciprocal())
    return torch.hstack((torch.sin(angles), torch.cos(angles)))


def wave_2d(per_side, features):
    """Place codes (1, 1 + per_side ** 2, features): a zero line for the class slot, then row code | column code."""
    if features % 4 != 0:
        raise ValueError(f"{features} features cannot be split in four")
    line = _wave_1d(features, per_side)
    body = torch.hstack((line.repeat_interleave(per_side, dim=0), line.repeat(per_side, 1)))
    first = body.new_zeros((1, features))
    return torch.vstack((first, body)).to(torch.float32)[None]


def draw_order(batch, count, device):
    order = torch.argsort(torch.rand(batch, count, device=device), dim=1)
    return order, torch.argsort(order, dim=1)


def pick(tokens, index):
    """Choose tokens by a (batch, k) index."""
    return torch.take_along_dim(tokens, index.unsqueeze(2), dim=1)


def veiled_error(options, pics, painted, veiled):
    goal = to_cells(options.cell, pics)
    if options.standardise:
        mean, deviation = cell_moments(goal)
        goal = goal.sub(mean).div(deviation)
    per_cell = torch.square(painted.float() - goal).mean(-1)
    return torch.sum(veiled * per_cell) / torch.sum(veiled)

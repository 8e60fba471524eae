"""Square matrices kept in one packed array: multipliers under the diagonal, the rest of the
triangle above it, and on it the logarithm of the pivots' sizes."""
import torch


def random_rotation(n):
    return torch.nn.init.orthogonal_(torch.empty(n, n))


def eliminate(matrix):
    """Gaussian elimination, largest pivot first. Gives (packed, pivot signs, row order)."""
    work = matrix.double()
    rows = list(range(len(work)))
    for k in range(len(rows)):
        best = k + int(work[k:, k].abs().argmax())
        if best != k:
            work[[k, best]] = work[[best, k]]
            rows[k], rows[best] = rows[best], rows[k]
        work[k + 1:, k] /= work[k, k].clone()
        work[k + 1:, k + 1:] -= torch.outer(work[k + 1:, k], work[k, k + 1:])
    pivots = work.diagonal().clone()
    work.diagonal().copy_(pivots.abs().log())
    return work.to(matrix.dtype), pivots.sign().to(matrix.dtype), torch.tensor(rows)


def rebuild(packed, signs, rows):
    n = len(signs)
    above = torch.ones(n, n, dtype=torch.bool, device=packed.device).triu(1)
    on = torch.eye(n, dtype=torch.bool, device=packed.device)
    nothing = torch.zeros_like(packed)
    left = torch.where(above.T, packed, on.to(packed.dtype))
    # the exponential sees the diagonal alone, so no large entry elsewhere can overflow in it
    right = torch.where(above, packed, nothing) + (signs * packed.diagonal().exp()).diag()
    return (left @ right)[rows.argsort()]


def unmix(packed, signs, rows, vectors):
    """Solves for the last axis of vectors by substitution, one coordinate after the other."""
    found = vectors[..., rows]
    n = len(signs)
    for i in range(1, n):
        found[..., i] -= found[..., :i] @ packed[i, :i]
    for i in range(n - 1, -1, -1):
        rest = found[..., i] - found[..., i + 1:] @ packed[i, i + 1:]
        found[..., i] = rest * signs[i] * torch.exp(-packed[i, i])
    return found

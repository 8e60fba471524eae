"""The brain: weight stacks held in dictionaries of tensors, and the arithmetic on them."""
import math
from functools import reduce

import torch

LOG4 = math.log(4.0)
HALF_LOG_TAU = 0.5 * math.log(math.tau)


def new_stack(copies, widths, device):
    """`copies` independent networks; layer i is a pair (weights, offsets), uniform in 1/sqrt(inputs)."""
    def drawn(fan_in, *shape):
        reach = fan_in ** -0.5
        return ((2.0 * torch.rand(shape, device=device) - 1.0) * reach).requires_grad_()

    return [(drawn(a, copies, a, b), drawn(a, copies, 1, b)) for a, b in zip(widths, widths[1:])]


def leaves(stack):
    return [tensor for layer in stack for tensor in layer]


def run_stack(stack, rows):
    """(rows, inputs) -> (copies, rows, outputs)"""
    def through(signal, layer):
        weights, offsets = layer
        return torch.baddbmm(offsets, signal.relu(), weights)

    (weights, offsets), *others = stack
    first = torch.baddbmm(offsets, rows.expand(weights.shape[0], -1, -1), weights)
    return reduce(through, others, first)


def lean(actor, sight):
    """Centre and log-width of the bell from which levers are drawn."""
    centre, width = run_stack(actor, sight)[0].tensor_split(2, dim=1)
    return centre, torch.minimum(torch.maximum(width, width.new_tensor(-5.0)), width.new_tensor(2.0))


def pull(actor, sight):
    """Levers in (-1, 1) and the logarithm of how likely each row of them was."""
    centre, log_width = lean(actor, sight)
    z = torch.randn(centre.shape, device=centre.device)
    x = torch.addcmul(centre, log_width.exp(), z)
    # 1 - tanh(x)^2 = 4 s(2x) s(-2x), with s the logistic function
    log_slope = LOG4 + torch.nn.functional.logsigmoid(2 * x) + torch.nn.functional.logsigmoid(-2 * x)
    log_bell = -(z * z / 2 + log_width + HALF_LOG_TAU)
    return x.tanh(), torch.einsum("nd->n", log_bell - log_slope)


def worth(critics, sight, levers):
    """One row of values for each critic."""
    return run_stack(critics, torch.hstack((sight, levers))).squeeze(2)

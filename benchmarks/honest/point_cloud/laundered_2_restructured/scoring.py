"""Training objective, and accuracy on the held-out scans."""
from collections import namedtuple

import torch
import torch.nn.functional as F

Scores = namedtuple("Scores", "accuracy balanced")


def softened_loss(eps):
    if eps < 0.0 or eps >= 1.0:
        raise ValueError(f"eps is {eps}; it has to be at least 0 and below 1")

    def compute(target, out):
        logp = F.log_softmax(out, dim=1)
        return (1 - eps) * F.nll_loss(logp, target) - eps * logp.mean()

    return compute


def compare(target, guess, n_labels):
    table = torch.bincount(target * n_labels + guess, minlength=n_labels ** 2)
    table = table.reshape(n_labels, n_labels).float()
    right, present = table.diagonal(), table.sum(dim=1)
    mask = present != 0
    return Scores(
        balanced=float((right[mask] / present[mask]).mean()),
        accuracy=float(right.sum() / present.sum()),
    )


def describe(scores):
    return f"accuracy {scores.accuracy:.4f} (balanced {scores.balanced:.4f})"


def _one_round(device, batches, net):
    pairs = [(F.softmax(net(x.to(device)), dim=1).cpu(), y) for x, y in batches]
    probs, target = zip(*pairs)
    return torch.cat(probs), torch.cat(target)


def rate(net, batches, device, n_labels, rounds):
    """Class probabilities are summed over `rounds` sweeps, each turned differently."""
    net.eval()
    with torch.no_grad():
        total, target = _one_round(device, batches, net)
        for _ in range(1, rounds):
            total += _one_round(device, batches, net)[0]
    return compare(target, torch.argmax(total, dim=1), n_labels)

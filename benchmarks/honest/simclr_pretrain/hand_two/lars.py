import math

import torch


class LARS(torch.optim.Optimizer):
    """Momentum SGD with a layer-wise trust ratio; groups with adapt=False use plain SGD."""

    def __init__(self, params, lr, momentum=0.9, weight_decay=1e-6, trust=1e-3, adapt=True):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay,
                                      trust=trust, adapt=adapt))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    continue
                d = p.grad.add(p, alpha=g["weight_decay"])
                if g["adapt"]:
                    wn, dn = p.norm(), d.norm()
                    ratio = torch.where((wn > 0) & (dn > 0), g["trust"] * wn / dn,
                                        torch.ones_like(wn))
                    d = d * ratio
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                velocity.mul_(g["momentum"]).add_(d)
                p.sub_(velocity, alpha=g["lr"])


def lars_groups(model, weight_decay):
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]  # biases and batch norm
    return [dict(params=weights, weight_decay=weight_decay),
            dict(params=others, weight_decay=0.0, adapt=False)]


def warmup_cosine(warmup, total):
    def factor(i):
        if i < warmup:
            return (i + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (i - warmup) / max(1, total - warmup)))
    return factor

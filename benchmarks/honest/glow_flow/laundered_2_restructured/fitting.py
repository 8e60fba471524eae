"""Maximum likelihood training with a running average of the weights."""
import copy

import torch
from torch.nn.utils import clip_grad_norm_

from network import TidePool
from pixels import make_loaders, read_array


def frozen_copy(net):
    twin = copy.deepcopy(net)
    twin.eval()
    for p in twin.parameters():
        p.requires_grad = False
    return twin


def pull_towards(twin, net, count, ceiling):
    keep = (count + 1) / (count + 10)
    if keep > ceiling:
        keep = ceiling
    with torch.no_grad():
        source = dict(net.named_parameters())
        for name, p in twin.named_parameters():
            p.mul_(keep).add_(source[name], alpha=1 - keep)


def warmup_factor(count, length):
    return (count + 1) / length if count + 1 < length else 1.0


def settings_from(opts, pictures):
    return {
        "size": tuple(pictures.shape[1:]),
        "hidden": opts.hidden,
        "scales": opts.scales,
        "units": opts.units,
        "depth": opts.depth,
        "use_logit": opts.use_logit,
        "factored": not opts.dense,
    }


def mean_score(loader, net, device):
    total, seen = 0.0, 0
    with torch.no_grad():
        for batch, in loader:
            scores = net(batch.to(device))
            total += scores.sum().item()
            seen += scores.numel()
    return total / seen


class Fitter:
    def __init__(self, opts):
        torch.manual_seed(opts.seed)
        self.opts = opts
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        pictures = read_array(opts.images)
        self.fitting, self.checking = make_loaders(pictures, opts.batch)
        self.settings = settings_from(opts, pictures)
        self.net = TidePool(**self.settings).to(self.device)
        self.settle()
        self.twin = frozen_copy(self.net)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=opts.rate)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda count: warmup_factor(count, opts.warmup))
        self.count = 0

    def settle(self):
        """Let every normalisation see data once; the averaged twin is copied only after that."""
        self.net.train()
        batch, = next(iter(self.fitting))
        with torch.no_grad():
            self.net(batch.to(self.device))

    def one_update(self, batch):
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.net(batch.to(self.device)).mean()
        loss.backward()
        norm = clip_grad_norm_(self.net.parameters(), self.opts.max_norm)
        if not (norm.isnan() or norm.isinf()):
            self.optimiser.step()
            pull_towards(self.twin, self.net, self.count, self.opts.average)
        self.schedule.step()
        self.count += 1
        return loss.item(), norm.item()

    def one_epoch(self):
        self.net.train()
        for batch, in self.fitting:
            loss, norm = self.one_update(batch)
            if self.count % 100:
                continue
            print("update {}: {:.4f} bits/dim, gradient {:.2f}".format(self.count, loss, norm))

    def save(self):
        torch.save({"weights": self.twin.state_dict(), "settings": self.settings}, self.opts.out)

    def run(self):
        for epoch in range(self.opts.epochs):
            self.one_epoch()
            score = mean_score(self.checking, self.twin, self.device)
            print("epoch {}: {:.4f} bits/dim on images set aside".format(epoch, score))
            self.save()


def restore(path):
    stored = torch.load(path, map_location="cpu")
    net = TidePool(**stored["settings"])
    net.load_state_dict(stored["weights"])
    net.eval()
    return net

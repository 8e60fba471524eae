"""Fits a labeler on a directory of scans and keeps the best weights."""
import os
from argparse import ArgumentParser

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR
from torch.utils.data import DataLoader

from augment import default_pipeline, turn
from blocks import Labeler
from folder import Scans
from scoring import describe, rate, softened_loss


def read_options():
    ap = ArgumentParser(description=__doc__)
    files = ap.add_argument_group("files")
    files.add_argument("--scans", default="data/train")
    files.add_argument("--heldout", default="data/test")
    files.add_argument("--out", default="checkpoints/best.pt")
    files.add_argument("--restart", default="")

    net = ap.add_argument_group("net")
    net.add_argument("--variant", default="single")
    net.add_argument("--n", type=int, default=1024)
    net.add_argument("--p", type=float, default=0.4)

    fitting = ap.add_argument_group("fitting")
    fitting.add_argument("--rounds", type=int, default=5)
    fitting.add_argument("--eps", type=float, default=0.1)
    fitting.add_argument("--method", default="adam")
    fitting.add_argument("--lr", type=float, default=1e-3)
    fitting.add_argument("--wd", type=float, default=1e-4)
    fitting.add_argument("--lr-plan", default="step")
    fitting.add_argument("--lr-step", type=int, default=20)
    fitting.add_argument("--lr-gamma", type=float, default=0.7)
    fitting.add_argument("--batch", type=int, default=24)
    fitting.add_argument("--sweeps", type=int, default=200)
    options = ap.parse_args()
    if options.rounds < 1:
        raise ValueError(f"rounds is {options.rounds}, one is the least that makes sense")
    return options


def open_scans(options):
    fit_scans = Scans(options.n, options.scans, steps=default_pipeline())
    heldout = Scans(options.n, options.heldout, fit_scans.labels, steps=[turn])
    if options.batch > len(fit_scans):
        raise ValueError(f"a batch needs {options.batch} scans, there are {len(fit_scans)}")
    return (
        fit_scans.labels,
        DataLoader(fit_scans, batch_size=options.batch, drop_last=True, shuffle=True),
        DataLoader(heldout, batch_size=options.batch),
    )


def make_stepper(options, weights):
    """The optimiser together with its learning-rate plan."""
    common = {"lr": options.lr, "weight_decay": options.wd}
    if options.method == "sgd":
        stepper = SGD(weights, momentum=0.9, **common)
    elif options.method == "adam":
        stepper = Adam(weights, **common)
    else:
        raise ValueError(f"method {options.method!r} is neither sgd nor adam")

    if options.lr_plan == "cosine":
        plan = CosineAnnealingLR(stepper, T_max=options.sweeps)
    elif options.lr_plan == "step":
        plan = StepLR(stepper, step_size=options.lr_step, gamma=options.lr_gamma)
    else:
        raise ValueError(f"lr plan {options.lr_plan!r} is neither cosine nor step")
    return stepper, plan


def set_norm_momentum(net, sweep, interval):
    """Starts at 0.1 and halves at each interval, down to 0.01."""
    value = 0.1 * 0.5 ** (sweep // interval)
    if value < 0.01:
        value = 0.01
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = value


def pick_up(filename, device, labels, parts):
    """Fills `parts` from a saved file; returns the next sweep and the best accuracy."""
    if not os.path.isfile(filename):
        raise FileNotFoundError(f"{filename} to restart from was not found")
    saved = torch.load(filename, map_location=device)
    if labels != saved["labels"]:
        raise ValueError(f"{filename} was made for other labels than these scans have")
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return 1 + saved["sweep"], saved["top"]


def put_away(filename, parts, **rest):
    folder = os.path.dirname(filename)
    if folder:
        os.makedirs(folder, exist_ok=True)
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**rest, **states}, filename)


def sweep_once(net, stepper, loss_of, batches, device):
    losses = []
    net.train()
    for x, y in batches:
        stepper.zero_grad()
        x, y = x.to(device), y.to(device)
        cost = loss_of(y, net(x))
        cost.backward()
        stepper.step()
        losses.append(cost.item())
    return sum(losses) / len(losses)


def main():
    options = read_options()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loss_of = softened_loss(options.eps)
    labels, batches, heldout = open_scans(options)

    net = Labeler(len(labels), options.p, options.variant)
    net.to(device)
    stepper, plan = make_stepper(options, net.parameters())
    parts = {"net": net, "stepper": stepper, "plan": plan}

    sweep, top = 0, -1.0
    if options.restart:
        sweep, top = pick_up(options.restart, device, labels, parts)

    while sweep < options.sweeps:
        set_norm_momentum(net, sweep, options.lr_step)
        cost = sweep_once(net, stepper, loss_of, batches, device)
        plan.step()
        scores = rate(net, heldout, device, len(labels), options.rounds)
        print(f"[{sweep + 1}/{options.sweeps}] cost {cost:.4f} {describe(scores)}")
        if scores.accuracy > top:
            top = scores.accuracy
            put_away(options.out, parts, sweep=sweep, top=top, labels=labels, options=vars(options))
        sweep += 1


if __name__ == "__main__":
    main()

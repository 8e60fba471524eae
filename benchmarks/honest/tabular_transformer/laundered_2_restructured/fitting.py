"""Optimisation with early stopping, inference and scores."""
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from frames import Objective
from layers import ColumnEmbedder, JointEmbedding


class FitConfig(NamedTuple):
    lr: float = 3e-4
    decay: float = 1e-4
    batch: int = 256
    epochs: int = 200
    patience: int = 16
    device: str = "cpu"


def roc_auc(labels, scores):
    is_positive = labels == 1
    n_pos = int(np.count_nonzero(is_positive))
    n_neg = int(np.count_nonzero(labels == 0))
    if not (n_pos and n_neg):
        return math.nan
    _, inverse, repeats = np.unique(scores, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(repeats)
    mean_rank = last_rank - 0.5 * (repeats - 1)  # equal scores get one common rank
    total = mean_rank[inverse[is_positive]].sum()
    return float((total - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def score_outputs(codec, labels, outputs):
    """Returns the metrics and the one number to maximise."""
    if codec.objective == Objective.MULTICLASS:
        accuracy = float((np.argmax(outputs, axis=1) == labels).mean())
        return {"accuracy": accuracy}, accuracy
    first = outputs[:, 0]
    if codec.objective == Objective.REGRESSION:
        residual = codec.scale * (first - labels)
        rmse = float(np.mean(np.square(residual)) ** 0.5)
        return {"rmse": rmse}, -rmse
    accuracy = float(((first > 0) == (labels == 1)).mean())
    auc = roc_auc(labels, first)
    return {"accuracy": accuracy, "auc": auc}, (accuracy if math.isnan(auc) else auc)


def compute_loss(objective, labels, outputs):
    if objective == Objective.MULTICLASS:
        return F.cross_entropy(outputs, labels)
    criterion = F.mse_loss if objective == Objective.REGRESSION else F.binary_cross_entropy_with_logits
    return criterion(outputs.select(1, 0), labels.to(torch.float32))


def make_optimizer(net, cfg):
    free = set()
    for module in net.modules():
        if isinstance(module, (ColumnEmbedder, JointEmbedding, nn.LayerNorm)):
            free.update(module.parameters())
    decayed, undecayed = [], []
    for name, weight in net.named_parameters():
        if weight in free or name.endswith("bias"):
            undecayed.append(weight)
        else:
            decayed.append(weight)
    return torch.optim.AdamW(
        [dict(params=undecayed, weight_decay=0.0), dict(params=decayed, weight_decay=cfg.decay)],
        lr=cfg.lr,
    )


def to_tensors(frame, device):
    return tuple(torch.as_tensor(array, device=device) for array in (frame.labels, frame.cont, frame.disc))


def infer(net, frame, device="cpu", chunk=2048):
    net.eval()
    _, cont, disc = to_tensors(frame, device)
    with torch.no_grad():
        outputs = [net(c, d) for c, d in zip(cont.split(chunk), disc.split(chunk))]
    return torch.cat(outputs).cpu().numpy()


def evaluate(net, frame, codec, device="cpu"):
    return score_outputs(codec, frame.labels, infer(net, frame, device))


def _run_epoch(net, optimizer, objective, tensors, batch):
    net.train()
    labels, cont, disc = tensors
    shuffled = torch.randperm(labels.shape[0]).to(labels.device)
    for begin in range(0, len(shuffled), batch):
        idx = shuffled[begin:begin + batch]
        loss = compute_loss(objective, labels[idx], net(cont[idx], disc[idx]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def fit_net(net, train, val, codec, cfg):
    """Trains in place and leaves the weights of the best validation epoch in `net`."""
    net = net.to(cfg.device)
    tensors = to_tensors(train, cfg.device)
    optimizer = make_optimizer(net, cfg)
    best, snapshot, waited = -math.inf, None, 0
    epoch = 0
    while epoch < cfg.epochs and waited < cfg.patience:
        _run_epoch(net, optimizer, codec.objective, tensors, cfg.batch)
        _, goal = evaluate(net, val, codec, cfg.device)
        if goal > best:
            best, waited = goal, 0
            snapshot = {key: value.detach().clone() for key, value in net.state_dict().items()}
        else:
            waited += 1
        epoch += 1
    if snapshot is None:
        raise RuntimeError("The validation score was never finite; lower the learning rate.")
    net.load_state_dict(snapshot)
    return net

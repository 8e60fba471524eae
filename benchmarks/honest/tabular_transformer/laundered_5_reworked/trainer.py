from copy import deepcopy
from dataclasses import dataclass
from typing import Dict

import numpy as np
import torch
from torch import nn

from dataset import Dataset, Task
from metrics import Evaluator, compute_loss
from networks import CatEmbedding, Tokenizer


@dataclass(frozen=True)
class TrainConfig:
    lr: float = 1e-4
    weight_decay: float = 1e-5
    batch_size: int = 256
    eval_batch_size: int = 1024
    epochs: int = 100
    patience: int = 16
    device: str = "cpu"
    verbose: bool = False


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    skip = set()
    for module in model.modules():
        if isinstance(module, (nn.LayerNorm, Tokenizer, CatEmbedding)):
            skip.update(id(p) for p in module.parameters())
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            skip.add(id(p))
    decay = [p for p in model.parameters() if id(p) not in skip]
    no_decay = [p for p in model.parameters() if id(p) in skip]
    return torch.optim.AdamW([
        {"params": decay, "weight_decay": config.weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ], lr=config.lr)


class EarlyStopping:
    def __init__(self, patience: int):
        self.patience = patience
        self.bad_epochs = 0
        self.best = float("-inf")
        self.weights = None

    def update(self, score: float, model: nn.Module) -> bool:
        if score > self.best:
            self.best = score
            self.bad_epochs = 0
            self.weights = deepcopy(model.state_dict())
        else:
            self.bad_epochs += 1
        return self.bad_epochs >= self.patience


class Trainer:
    def __init__(self, task: Task, evaluator: Evaluator, config: TrainConfig):
        self.task = task
        self.evaluator = evaluator
        self.config = config

    @torch.no_grad()
    def predict(self, model: nn.Module, data: Dataset) -> np.ndarray:
        model.eval()
        device, size = self.config.device, self.config.eval_batch_size
        outputs = []
        for i in range(0, len(data), size):
            x_num = torch.from_numpy(data.x_num[i:i + size]).to(device)
            x_cat = torch.from_numpy(data.x_cat[i:i + size]).to(device)
            outputs.append(model(x_num, x_cat).cpu().numpy())
        return np.concatenate(outputs)

    def evaluate(self, model: nn.Module, data: Dataset) -> Dict[str, float]:
        outputs = self.predict(model, data)
        return self.evaluator.compute(outputs, data.y)

    def _train_epoch(self, model, optimizer, x_num, x_cat, y):
        model.train()
        for idx in torch.randperm(len(y)).split(self.config.batch_size):
            idx = idx.to(y.device)
            optimizer.zero_grad()
            loss = compute_loss(self.task, model(x_num[idx], x_cat[idx]), y[idx])
            loss.backward()
            optimizer.step()

    def train(self, model: nn.Module, train: Dataset, val: Dataset) -> None:
        device = self.config.device
        model.to(device)
        optimizer = make_optimizer(model, self.config)
        stopper = EarlyStopping(self.config.patience)
        x_num = torch.from_numpy(train.x_num).to(device)
        x_cat = torch.from_numpy(train.x_cat).to(device)
        y = torch.from_numpy(train.y).to(device)
        for epoch in range(self.config.epochs):
            self._train_epoch(model, optimizer, x_num, x_cat, y)
            score = self.evaluator.score(self.evaluate(model, val))
            if self.config.verbose:
                print(f"epoch {epoch}: val score {score:.4f}")
            if stopper.update(score, model):
                break
        if stopper.weights is None:
            raise RuntimeError("Training diverged.")
        model.load_state_dict(stopper.weights)

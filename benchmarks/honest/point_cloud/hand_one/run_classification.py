"""Command line: trains a classifier and tests it with voting."""
import argparse
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from cloud_data import AugmentationSettings, LabelledCloudDataset, TransformationFactory, VerticalRotation
from hierarchical_network import PointClassifierFactory


@dataclass
class TrainingSettings:
    train_folder: str = "data/train"
    test_folder: str = "data/test"
    checkpoint_file: str = "checkpoints/best.pt"
    resume_from: str = ""
    grouping: str = "single"
    points_per_cloud: int = 1024
    batch_size: int = 24
    epochs: int = 200
    optimizer: str = "adam"
    learning_rate: float = 0.001
    weight_decay: float = 0.0001
    schedule: str = "step"
    decay_every: int = 20
    decay_factor: float = 0.7
    label_smoothing: float = 0.1
    dropout: float = 0.4
    votes: int = 5


class OptimizationFactory:
    @staticmethod
    def create_optimizer(parameters, settings):
        if settings.optimizer == "adam":
            return torch.optim.Adam(parameters, settings.learning_rate, weight_decay=settings.weight_decay)
        if settings.optimizer == "sgd":
            return torch.optim.SGD(parameters, settings.learning_rate, momentum=0.9,
                                   weight_decay=settings.weight_decay)
        raise ValueError(f"Unknown optimizer '{settings.optimizer}'; choose adam or sgd")

    @staticmethod
    def create_schedule(optimizer, settings):
        if settings.schedule == "step":
            return torch.optim.lr_scheduler.StepLR(optimizer, settings.decay_every, settings.decay_factor)
        if settings.schedule == "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
        raise ValueError(f"Unknown schedule '{settings.schedule}'; choose step or cosine")


class BatchNormMomentumDecay:
    def __init__(self, model, every, initial=0.1, factor=0.5, floor=0.01):
        self._layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self._every, self._initial, self._factor, self._floor = every, initial, factor, floor

    def apply(self, epoch):
        momentum = max(self._floor, self._initial * self._factor ** (epoch // self._every))
        for layer in self._layers:
            layer.momentum = momentum


class SmoothedCrossEntropy(nn.Module):
    def __init__(self, smoothing):
        super().__init__()
        if not 0.0 <= smoothing < 1.0:
            raise ValueError(f"Label smoothing must lie in [0, 1), got {smoothing}")
        self._smoothing = smoothing

    def forward(self, logits, labels):
        log_probabilities = logits.log_softmax(dim=1)
        hit = -log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
        uniform = -log_probabilities.mean(dim=1)
        return ((1 - self._smoothing) * hit + self._smoothing * uniform).mean()


class AccuracyReport:
    def __init__(self, predictions, labels, class_count):
        correct = predictions == labels
        self.overall = correct.float().mean().item()
        seen = torch.bincount(labels, minlength=class_count)
        hits = torch.bincount(labels[correct], minlength=class_count)
        self.mean_per_class = (hits[seen > 0] / seen[seen > 0]).mean().item()

    def __str__(self):
        return f"overall {self.overall:.4f}, mean per class {self.mean_per_class:.4f}"


class VotingEvaluator:
    """Adds the class probabilities of several randomly rotated passes."""

    def __init__(self, loader, class_count, votes, device):
        if votes < 1:
            raise ValueError(f"At least one vote is needed, got {votes}")
        self._loader, self._class_count = loader, class_count
        self._votes, self._device = votes, device

    @torch.no_grad()
    def evaluate(self, model):
        model.eval()
        tally = 0
        for _ in range(self._votes):
            scores, labels = [], []
            for clouds, targets in self._loader:
                scores.append(model(clouds.to(self._device)).softmax(dim=1).cpu())
                labels.append(targets)
            tally = tally + torch.cat(scores)
        return AccuracyReport(tally.argmax(dim=1), torch.cat(labels), self._class_count)


class CheckpointStore:
    def __init__(self, path):
        self._path = Path(path)

    def save(self, **content):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, self._path)

    def load(self, device):
        if not self._path.is_file():
            raise FileNotFoundError(f"No checkpoint at {self._path}")
        return torch.load(self._path, map_location=device)


class ClassificationTrainer:
    def __init__(self, settings):
        self._settings = settings
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        chain = TransformationFactory.create_training_chain(AugmentationSettings())
        training = LabelledCloudDataset(settings.train_folder, settings.points_per_cloud, chain)
        self._class_names = training.class_names
        testing = LabelledCloudDataset(settings.test_folder, settings.points_per_cloud,
                                       [VerticalRotation()], self._class_names)
        if len(training) < settings.batch_size:
            raise ValueError(f"{len(training)} training clouds cannot fill a batch of {settings.batch_size}")
        self._loader = DataLoader(training, settings.batch_size, shuffle=True, drop_last=True)
        class_count = len(self._class_names)
        self._evaluator = VotingEvaluator(DataLoader(testing, settings.batch_size), class_count,
                                          settings.votes, self._device)
        self._model = PointClassifierFactory.create(
            settings.grouping, class_count, settings.dropout).to(self._device)
        self._criterion = SmoothedCrossEntropy(settings.label_smoothing)
        self._optimizer = OptimizationFactory.create_optimizer(self._model.parameters(), settings)
        self._schedule = OptimizationFactory.create_schedule(self._optimizer, settings)
        self._momentum_decay = BatchNormMomentumDecay(self._model, settings.decay_every)
        self._store = CheckpointStore(settings.checkpoint_file)
        self._first_epoch, self._best = 0, -1.0
        if settings.resume_from:
            self._restore(CheckpointStore(settings.resume_from).load(self._device))

    def _restore(self, content):
        if content["class_names"] != self._class_names:
            raise ValueError("The checkpoint was trained on a different list of classes")
        self._model.load_state_dict(content["model"])
        self._optimizer.load_state_dict(content["optimizer"])
        self._schedule.load_state_dict(content["schedule"])
        self._first_epoch, self._best = content["epoch"] + 1, content["best"]

    def _train_one_epoch(self):
        self._model.train()
        total = 0.0
        for clouds, labels in self._loader:
            loss = self._criterion(self._model(clouds.to(self._device)), labels.to(self._device))
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            total += loss.item()
        return total / len(self._loader)

    def run(self):
        for epoch in range(self._first_epoch, self._settings.epochs):
            self._momentum_decay.apply(epoch)
            loss = self._train_one_epoch()
            self._schedule.step()
            report = self._evaluator.evaluate(self._model)
            print(f"epoch {epoch + 1}: loss {loss:.4f}, {report}")
            if report.overall > self._best:
                self._best = report.overall
                self._store.save(model=self._model.state_dict(), optimizer=self._optimizer.state_dict(),
                                 schedule=self._schedule.state_dict(), epoch=epoch, best=self._best,
                                 class_names=self._class_names, settings=asdict(self._settings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(TrainingSettings):
        parser.add_argument("--" + field.name.replace("_", "-"), type=field.type, default=field.default)
    ClassificationTrainer(TrainingSettings(**vars(parser.parse_args()))).run()

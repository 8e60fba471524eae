"""Command line: `main.py eval.pt --train-file train.pt` trains, `main.py eval.pt` evaluates the checkpoint."""

import copy
import math
from argparse import ArgumentParser

import numpy as np
import torch

from contrastive import EmbeddingQueue, HardNegativeLoss
from evaluation import Evaluator
from model import TwoTowerModel
from transforms import TrainTransform


class CosineWithWarmup:
    def __init__(self, optimizer, peak, total_steps):
        self.optimizer, self.peak, self.total_steps = optimizer, peak, total_steps
        self.warmup_steps = total_steps // 20 or 1
        self.current = 0

    def factor(self):
        rising = (self.current + 1) / self.warmup_steps
        progress = (self.current - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        falling = (1 + math.cos(math.pi * max(0.0, progress))) / 2
        return rising if rising < falling else falling

    def advance(self):
        learning_rate = self.peak * self.factor()
        for group in self.optimizer.param_groups:
            group.update(lr=learning_rate)
        self.current += 1


class Trainer:
    def __init__(self, model, opts, total_steps):
        self.model = model
        self.opts = opts
        self.momentum_model = copy.deepcopy(model).requires_grad_(False)
        self.optimizer = self.make_optimizer()
        self.schedule = CosineWithWarmup(self.optimizer, opts.learning_rate, total_steps)
        self.queue = EmbeddingQueue(opts.queue_size, model.out_dim, opts.device)
        self.transform = TrainTransform(opts.image_size)
        self.criterion = HardNegativeLoss(opts.hardness)

    def make_optimizer(self):
        plain, decayed = [], []
        for parameter in self.model.parameters():
            if parameter.dim() >= 2:
                decayed.append(parameter)
            else:
                plain.append(parameter)
        groups = [{"params": decayed, "weight_decay": self.opts.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.opts.learning_rate, betas=(0.9, 0.98))

    def training_step(self, images, captions):
        self.schedule.advance()
        tokens = self.model.text_tower.encode_bytes(captions).to(self.opts.device)
        images = images.to(self.opts.device) / 255.0
        with torch.no_grad():
            momentum_embeddings = self.momentum_model(self.transform(images), tokens)
        embeddings = self.model(self.transform(images), tokens)

        loss = self.criterion(embeddings, momentum_embeddings, self.queue, self.model.scale)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=1.0)
        self.optimizer.step()

        self.model.limit_scale()
        self.momentum_model.move_towards(self.model, self.opts.momentum)
        self.queue.add(*momentum_embeddings)
        return loss.item()

    def train_epoch(self, dataset, order):
        batch_size = self.opts.batch_size
        losses = []
        for start in range(0, len(order) - batch_size + 1, batch_size):
            indices = order[start : start + batch_size].tolist()
            captions = [dataset["captions"][i] for i in indices]
            losses.append(self.training_step(dataset["images"][indices], captions))
        return sum(losses) / len(losses)

    def save(self):
        checkpoint = {
            "hparams": self.model.hparams,
            "model": self.model.state_dict(),
            "momentum_model": self.momentum_model.state_dict(),
        }
        torch.save(checkpoint, self.opts.output)


def report(results):
    for direction in ("i2t", "t2i"):
        print("   ", direction, *(f"R@{k}={results[f'{direction}_r{k}']:.3f}" for k in (1, 5, 10)))
    if "zero_shot" in results:
        print(f"    zero-shot {results['zero_shot']:.3f}")


def train(opts, train_set, eval_set):
    num_pairs = len(train_set["captions"])
    steps_per_epoch = num_pairs // opts.batch_size
    if not steps_per_epoch:
        raise SystemExit(f"a batch needs {opts.batch_size} pairs but there are {num_pairs}")
    model = TwoTowerModel(
        opts.image_size, opts.patch_size, opts.dim, opts.num_heads, opts.image_blocks, opts.text_blocks
    ).to(opts.device)
    trainer = Trainer(model, opts, steps_per_epoch * opts.epochs)
    evaluator = Evaluator(trainer.momentum_model, opts.batch_size, opts.device)
    rng = np.random.default_rng(opts.seed)
    for epoch in range(1, opts.epochs + 1):
        loss = trainer.train_epoch(train_set, rng.permutation(num_pairs))
        print(f"[{epoch}/{opts.epochs}] loss={loss:.4f} temperature={1 / model.scale.item():.4f}")
        report(evaluator(eval_set))
        trainer.save()


def load_checkpoint(path, device):
    checkpoint = torch.load(path, weights_only=True, map_location=device)
    model = TwoTowerModel(**checkpoint["hparams"])
    model.load_state_dict(checkpoint["momentum_model"])
    return model.to(device)


def parse_options():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("eval_file")
    parser.add_argument("--train-file")
    parser.add_argument("--output", default="two_tower.pt")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--image-size", default=112, type=int)
    parser.add_argument("--patch-size", default=14, type=int)
    parser.add_argument("--dim", default=256, type=int)
    parser.add_argument("--num-heads", default=4, type=int)
    parser.add_argument("--image-blocks", default=8, type=int)
    parser.add_argument("--text-blocks", default=6, type=int)
    parser.add_argument("--epochs", default=40, type=int)
    parser.add_argument("--batch-size", default=256, type=int)
    parser.add_argument("--queue-size", default=8192, type=int)
    parser.add_argument("--learning-rate", default=0.0005, type=float)
    parser.add_argument("--weight-decay", default=0.05, type=float)
    parser.add_argument("--momentum", default=0.995, type=float)
    parser.add_argument("--hardness", default=0.5, type=float)
    parser.add_argument("--seed", default=0, type=int)
    return parser.parse_args()


def main():
    opts = parse_options()
    torch.manual_seed(opts.seed)
    eval_set = torch.load(opts.eval_file, weights_only=True)
    if opts.train_file is None:
        model = load_checkpoint(opts.output, opts.device)
        report(Evaluator(model, opts.batch_size, opts.device)(eval_set))
        return
    train(opts, torch.load(opts.train_file, weights_only=True), eval_set)


if __name__ == "__main__":
    main()

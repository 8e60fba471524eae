"""Command line: fit the virtual-node GIN to labelled molecules with early stopping."""

from argparse import ArgumentParser
from copy import deepcopy

import numpy as np
import torch

from dataset import MolDataset
from metrics import bce_with_gaps, summarize
from model import VirtualNodeGIN


class EarlyStopping:
    def __init__(self, patience):
        self.patience = patience
        self.best_score = float("-inf")
        self.best_state = None
        self.bad_epochs = 0

    def update(self, score, model):
        """True when it is time to stop."""
        if score > self.best_score:
            self.best_score = score
            self.best_state = deepcopy(model.state_dict())
            self.bad_epochs = 0
            return self.patience <= 0
        self.bad_epochs += 1
        return self.bad_epochs >= self.patience


class Trainer:
    def __init__(self, model, opts, rng):
        self.model = model.to(opts.device)
        self.opts = opts
        self.rng = rng
        matrices, vectors = [], []
        for parameter in model.parameters():
            (vectors if parameter.dim() < 2 else matrices).append(parameter)
        groups = [dict(params=vectors, weight_decay=0.0), dict(params=matrices, weight_decay=opts.weight_decay)]
        self.optimizer = torch.optim.AdamW(groups, lr=opts.learning_rate)

    def optimize(self, data):
        self.optimizer.zero_grad()
        loss = bce_with_gaps(self.model(data), data.y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=self.opts.grad_clip)
        self.optimizer.step()
        return loss.item()

    def train_epoch(self, dataset):
        self.model.train()
        weighted = [
            self.optimize(data.move(self.opts.device)) * data.num_graphs
            for data in dataset.minibatches(self.opts.batch_size, self.rng)
        ]
        return sum(weighted) / len(dataset)

    def test(self, dataset):
        self.model.eval()
        logits, labels = [], []
        with torch.no_grad():
            for data in dataset.minibatches(self.opts.batch_size):
                labels.append(data.y)
                logits.append(self.model(data.move(self.opts.device)).cpu())
        return summarize(torch.cat(logits), torch.cat(labels))

    def fit(self, train_set, valid_set):
        stopper = EarlyStopping(self.opts.patience)
        for epoch in range(1, self.opts.max_epochs + 1):
            train_loss = self.train_epoch(train_set)
            result = self.test(valid_set)
            print(f"[{epoch}] train={train_loss:.4f} val={result['loss']:.4f} val_auc={result['auc']:.4f}")
            if stopper.update(result["auc"], self.model):
                break
        if stopper.best_state is None:
            raise SystemExit("validation never had a defined AUC, use another seed or another split")
        self.model.load_state_dict(stopper.best_state)
        return stopper.best_score


def parse_options():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("molecules", help="JSON lines")
    data = parser.add_argument_group("data")
    data.add_argument("--split-mode", default="group", choices=("group", "random"))
    data.add_argument("--split-ratios", default=(0.8, 0.1, 0.1), nargs=3, type=float)
    data.add_argument("--batch-size", default=64, type=int)
    network = parser.add_argument_group("network")
    network.add_argument("--num-layers", default=5, type=int)
    network.add_argument("--dim", default=192, type=int)
    network.add_argument("--num-heads", default=4, type=int)
    network.add_argument("--jk", default="concat", choices=("concat", "last", "max"))
    network.add_argument("--dropout", default=0.2, type=float)
    training = parser.add_argument_group("training")
    training.add_argument("--learning-rate", default=0.0007, type=float)
    training.add_argument("--weight-decay", default=0.0001, type=float)
    training.add_argument("--grad-clip", default=2.0, type=float)
    training.add_argument("--max-epochs", default=150, type=int)
    training.add_argument("--patience", default=20, type=int)
    training.add_argument("--seed", default=0, type=int)
    training.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    training.add_argument("--output", default="virtual_gin.pt")
    return parser.parse_args()


def main():
    opts = parse_options()
    torch.manual_seed(opts.seed)
    rng = np.random.default_rng(opts.seed)

    subsets = MolDataset.from_file(opts.molecules).split(opts.split_mode, rng, opts.split_ratios)
    sizes = [len(subset) for subset in subsets]
    if 0 in sizes:
        raise SystemExit("empty subset: change --split-ratios or --split-mode")
    print("train/valid/test molecules: {}/{}/{}".format(*sizes))
    train_set, valid_set, test_set = subsets

    model = VirtualNodeGIN(train_set.num_tasks, opts.num_layers, opts.dim, opts.num_heads, opts.jk, opts.dropout)
    trainer = Trainer(model, opts, rng)
    best = trainer.fit(train_set, valid_set)
    final = trainer.test(test_set)
    print(f"valid AUC {best:.4f}, test AUC {final['auc']:.4f}")
    print("test AUC by task:", np.array2string(final["per_task"], precision=3))
    checkpoint = {"hparams": model.hparams, "state_dict": model.state_dict(), "valid": best, "test": final["auc"]}
    torch.save(checkpoint, opts.output)


if __name__ == "__main__":
    main()

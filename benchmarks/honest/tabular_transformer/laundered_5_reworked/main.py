import argparse
import random
from typing import Dict

import numpy as np
import torch

from dataset import Columns, Dataset, Task, load_csv, train_val_test_split
from metrics import Evaluator
from networks import MODELS, ModelConfig, build_model
from preprocessing import SCALERS, Preprocessor
from trainer import TrainConfig, Trainer


def set_seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def run(data: Dataset, task: Task, model_name: str, scaler: str, split_seed: int, seed: int,
        model_config: ModelConfig, train_config: TrainConfig) -> Dict[str, float]:
    train, val, test = train_val_test_split(data, split_seed)
    prep = Preprocessor(task, scaler).fit(train)
    train, val, test = prep.transform(train), prep.transform(val), prep.transform(test)

    set_seed(seed)
    n_num = train.x_num.shape[1]
    model = build_model(model_name, n_num, prep.cat_sizes, prep.label_encoder.n_outputs, model_config)
    trainer = Trainer(task, Evaluator(task, prep.label_encoder.std), train_config)
    trainer.train(model, train, val)
    return trainer.evaluate(model, test)


def parse_args():
    parser = argparse.ArgumentParser(description="Compare deep models on a table")
    parser.add_argument("--data", required=True, help="path of the csv file")
    parser.add_argument("--task", choices=[t.value for t in Task], required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--num-cols", nargs="*", default=[])
    parser.add_argument("--cat-cols", nargs="*", default=[])
    parser.add_argument("--sep", default=",")
    parser.add_argument("--scaler", choices=sorted(SCALERS), default="quantile")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=["mlp", "transformer"])
    parser.add_argument("--n-seeds", type=int, default=3)
    parser.add_argument("--split-seed", type=int, default=42)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if args.n_seeds < 1:
        parser.error("need at least one seed")
    return args


def main():
    args = parse_args()
    columns = Columns(tuple(args.num_cols), tuple(args.cat_cols), args.target)
    data = load_csv(args.data, columns, args.sep)
    task = Task(args.task)
    model_config = ModelConfig()
    train_config = TrainConfig(device=args.device, verbose=args.verbose)

    for name in args.models:
        results = []
        for seed in range(args.n_seeds):
            results.append(run(data, task, name, args.scaler, args.split_seed, seed, model_config, train_config))
        print(f"== {name} ({args.n_seeds} seeds)")
        for metric in results[0]:
            values = [r[metric] for r in results]
            print(f"   {metric}: mean {np.mean(values):.4f}, std {np.std(values):.4f}")


if __name__ == "__main__":
    main()

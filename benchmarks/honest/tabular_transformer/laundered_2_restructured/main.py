"""Compares the column transformer with an MLP on one CSV file over repeated runs."""
import random
from argparse import ArgumentParser

import numpy as np
import torch

from encoders import SCALERS, FrameEncoder
from fitting import FitConfig, evaluate, fit_net
from frames import Layout, Objective, load_csv, three_way_split
from nets import NetConfig, build_net


def single_run(frame, kind, objective, scaler, seed, split_seed, net_cfg, fit_cfg):
    parts = three_way_split(frame, split_seed)
    encoder = FrameEncoder(parts[0], objective, scaler)
    train, val, test = map(encoder, parts)
    for set_seed in (torch.manual_seed, np.random.seed, random.seed):
        set_seed(seed)
    net = build_net(kind, net_cfg, encoder.codec.n_outputs, train.cont.shape[1], encoder.n_categories)
    fit_net(net, train, val, encoder.codec, fit_cfg)
    metrics, _ = evaluate(net, test, encoder.codec, fit_cfg.device)
    return metrics


def report(kind, runs):
    for metric in runs[0].keys():
        values = np.array([run[metric] for run in runs])
        print(f"{kind:<12} {metric:<9} {values.mean():.4f} +/- {values.std():.4f} ({len(runs)} runs)")


def parse_args():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--objective", required=True, choices=[objective.value for objective in Objective])
    parser.add_argument("--label", required=True)
    parser.add_argument("--cont", nargs="*", default=[])
    parser.add_argument("--disc", nargs="*", default=[])
    parser.add_argument("--scaler", default="quantile", choices=sorted(SCALERS))
    parser.add_argument("--nets", nargs="+", default=["transformer", "mlp"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if args.repeats <= 0:
        parser.error("--repeats has to be positive")
    return args


if __name__ == "__main__":
    args = parse_args()
    frame = load_csv(Layout(args.label, args.cont, args.disc), args.data)
    net_cfg, fit_cfg = NetConfig(), FitConfig(device=args.device)
    for kind in args.nets:
        runs = []
        for seed in range(args.repeats):
            runs.append(single_run(frame, kind, Objective(args.objective), args.scaler, seed,
                                   args.split_seed, net_cfg, fit_cfg))
        report(kind, runs)

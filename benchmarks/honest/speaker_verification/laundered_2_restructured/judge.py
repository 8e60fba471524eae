"""Rate a list of pairs (label, file, file) and print how often the network is wrong."""
import argparse
import os

import numpy as np
import torch
from torch.nn.functional import normalize

from files import RATE_HZ, decode, excerpt, scan
from network import TalkerNet
from rates import ErrorRates
from spectral import MelFrontend


class Judge:
    def __init__(self, stored_at, shortest=1.0):
        self.shortest = int(RATE_HZ * shortest)
        self.device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
        stored = torch.load(stored_at, weights_only=False, map_location=self.device)
        self.frontend = MelFrontend().to(self.device)
        self.net = TalkerNet(stored["width"])
        self.net.load_state_dict(stored["net"])
        self.net.to(self.device)
        self.net.eval()

    def vector(self, path):
        samples = decode(path)
        samples = excerpt(max(self.shortest, len(samples)), samples)
        with torch.no_grad():
            batch = torch.tensor(samples).unsqueeze(0).to(self.device)
            return normalize(self.net(self.frontend(batch)), dim=1).squeeze(0).cpu()

    def vectors(self, paths):
        return torch.stack(list(map(self.vector, paths)))


def standardise(scores, vectors, left, right, others, nearest):
    """Symmetric score normalisation with the nearest of the other talkers."""
    count = min(len(others), nearest)
    top, _ = torch.topk(torch.mm(vectors, others.t()), count, dim=1)
    centre = top.mean(1)
    spread = top.std(1).clamp_min(1e-6)
    halves = [(scores - centre[side]) / spread[side] for side in (left, right)]
    return (halves[0] + halves[1]) * 0.5


def read_pairs(path):
    labels, lefts, rights = [], [], []
    with open(path) as lines:
        for line in lines:
            if not line.strip():
                continue
            label, left, right = line.split()
            labels.append(int(label))
            lefts.append(left)
            rights.append(right)
    return np.array(labels), lefts, rights


def judge_pairs(judge, options):
    labels, lefts, rights = read_pairs(options.pairs)
    names = sorted(set(lefts) | set(rights))
    vectors = judge.vectors(os.path.join(options.base, name) for name in names)
    number = dict(zip(names, range(len(names))))
    left = torch.tensor([number[name] for name in lefts])
    right = torch.tensor([number[name] for name in rights])
    scores = torch.mul(vectors[left], vectors[right]).sum(-1)
    if not options.others:
        return labels, scores.numpy()
    paths = scan(options.others)
    if len(paths) <= 1:
        raise SystemExit("one recording of other talkers is too few to normalise with")
    others = judge.vectors(paths)
    return labels, standardise(scores, vectors, left, right, others, options.nearest).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs")
    parser.add_argument("stored")
    parser.add_argument("--prior", type=float, default=0.01)
    parser.add_argument("--nearest", type=int, default=300)
    parser.add_argument("--others", help="folder of unrelated talkers to normalise scores with")
    parser.add_argument("--base", default=".")
    options = parser.parse_args()
    labels, scores = judge_pairs(Judge(options.stored), options)
    rates = ErrorRates(labels, scores)
    print(f"{len(labels)} pairs: EER {rates.equal() * 100:.3f}%, "
          f"minDCF at {options.prior} {rates.detection_cost(options.prior):.4f}")


if __name__ == "__main__":
    main()

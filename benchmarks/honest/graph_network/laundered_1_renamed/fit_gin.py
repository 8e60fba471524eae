"""Fit the network to a compound file; training ends once the validation score has stalled."""

import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F

from compounds import iterate_packs, read_compounds, scaffold_split, shuffle_split
from gin import GinSettings, create_weights, predict


def measured_loss(logits, targets):
    """Binary cross-entropy that skips unmeasured targets."""
    measured = ~targets.isnan()
    if not measured.any():
        return 0.0 * logits.sum()
    return F.binary_cross_entropy_with_logits(
        logits[measured],
        targets[measured],
    )


def roc_area(scores, targets):
    """Area under the ROC curve by rank sums; not a number unless both classes occur."""
    positives = int((targets == 1).sum())
    negatives = len(targets) - positives
    if positives == 0 or negatives == 0:
        return math.nan
    _, place, repeats = torch.unique(
        scores.double(),
        return_inverse=True,
        return_counts=True,
    )
    mean_rank = repeats.cumsum(0) - (repeats - 1) / 2
    statistic = mean_rank[place][targets == 1].sum() - positives * (positives + 1) / 2
    return float(statistic / (positives * negatives))


def areas_by_target(logits, targets):
    return np.array(
        [
            roc_area(logits[rows, column], targets[rows, column])
            for column, rows in enumerate((~targets.isnan()).T)
        ]
    )


@torch.no_grad()
def score_subset(weights, settings, compounds, pack_size, where):
    outcome = [
        (predict(weights, settings, pack.to(where)).cpu(), pack.targets)
        for pack in iterate_packs(compounds, pack_size)
    ]
    logits, targets = (torch.cat(column) for column in zip(*outcome))
    areas = areas_by_target(logits, targets)
    average = float(np.nanmean(areas)) if not np.isnan(areas).all() else math.nan
    return average, float(measured_loss(logits, targets)), areas


def one_pass(weights, settings, optimiser, compounds, options, generator):
    running = 0.0
    for pack in iterate_packs(compounds, options.pack_size, generator):
        pack = pack.to(options.where)
        cost = measured_loss(
            predict(weights, settings, pack, training=True),
            pack.targets,
        )
        optimiser.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), options.max_norm)
        optimiser.step()
        running += cost.item() * len(pack.targets)
    return running / len(compounds)


def run(options, subsets, generator):
    fitting, checking, final = subsets
    settings = GinSettings(
        len(fitting[0].targets),
        options.hidden,
        options.depth,
        options.queries,
        options.drop_rate,
        options.readout,
    )
    weights = {
        key: weight.detach().to(options.where).requires_grad_()
        for key, weight in create_weights(settings, options.random_state).items()
    }
    optimiser = torch.optim.AdamW(
        [
            {
                "params": [weight for weight in weights.values() if weight.ndim > 1],
                "weight_decay": options.l2,
            },
            {
                "params": [weight for weight in weights.values() if weight.ndim < 2],
                "weight_decay": 0.0,
            },
        ],
        lr=options.step_size,
    )
    record, snapshot, stalled = -math.inf, None, 0
    for turn in range(options.max_passes):
        cost = one_pass(weights, settings, optimiser, fitting, options, generator)
        average, check_cost, _ = score_subset(
            weights,
            settings,
            checking,
            options.pack_size,
            options.where,
        )
        print(f"pass {turn}: fit loss {cost:.4f}, check loss {check_cost:.4f}, check AUC {average:.4f}")
        if average > record:
            record, stalled = average, 0
            snapshot = {key: weight.detach().clone() for key, weight in weights.items()}
        else:
            stalled += 1
        if stalled >= options.tolerance:
            break
    if snapshot is None:
        raise SystemExit("the checking subset never holds both classes of a target; use other settings")
    average, _, areas = score_subset(
        snapshot,
        settings,
        final,
        options.pack_size,
        options.where,
    )
    print(f"check AUC {record:.4f}; final AUC {average:.4f}; by target {np.array2string(areas, precision=3)}")
    torch.save(
        {
            "settings": vars(settings),
            "weights": snapshot,
            "check": record,
            "final": average,
        },
        options.save_to,
    )


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("compounds", help="the file of compounds (JSON lines)")
    cli.add_argument("--partition", choices=["shuffle", "scaffold"], default="scaffold")
    cli.add_argument("--shares", type=float, nargs=3, default=[0.8, 0.1, 0.1])
    cli.add_argument("--hidden", type=int, default=192)
    cli.add_argument("--depth", type=int, default=5)
    cli.add_argument("--queries", type=int, default=4)
    cli.add_argument("--drop-rate", type=float, default=0.2)
    cli.add_argument("--readout", choices=["concat", "max", "last"], default="concat")
    cli.add_argument("--pack-size", type=int, default=64)
    cli.add_argument("--max-passes", type=int, default=150)
    cli.add_argument("--tolerance", type=int, default=20)
    cli.add_argument("--step-size", type=float, default=7e-4)
    cli.add_argument("--l2", type=float, default=1e-4)
    cli.add_argument("--max-norm", type=float, default=2.0)
    cli.add_argument("--random-state", type=int, default=0)
    cli.add_argument("--where", default="cuda" if torch.cuda.is_available() else "cpu")
    cli.add_argument("--save-to", default="compound_net.pt")
    options = cli.parse_args()

    torch.manual_seed(options.random_state)
    generator = np.random.default_rng(options.random_state)
    divide = scaffold_split if options.partition == "scaffold" else shuffle_split
    subsets = divide(read_compounds(options.compounds), options.shares, generator)
    if not all(subsets):
        raise SystemExit("one of the subsets came out empty; pick other --shares or another --partition")
    print("compounds:", " / ".join(str(len(subset)) for subset in subsets))
    run(options, subsets, generator)

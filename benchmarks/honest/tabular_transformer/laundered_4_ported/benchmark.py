"""Fits the column transformer and the dense reference with several keys and prints held-out scores."""
import argparse
from dataclasses import dataclass
from functools import partial
from typing import Dict, List

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from flax_nets import NetOptions, make_net
from sheets import AnswerCoder, ArraySheet, ColumnPlan, Problem, Sheet, SheetEncoder, SheetLoader, ShuffleDivider


@dataclass(frozen=True)
class FitOptions:
    step_size: float = 3e-4
    decay: float = 1e-4
    rows_per_step: int = 256
    most_epochs: int = 200
    tolerance: int = 16
    platform: str = "cpu"


class ScoreKeeper:
    """Each problem has a leading score; `leading` turns it so that more is better."""

    def __init__(self, problem: Problem, answer_coder: AnswerCoder):
        self._problem, self._coder = problem, answer_coder

    def compute(self, predictions: np.ndarray, answers: np.ndarray) -> Dict[str, float]:
        if self._problem is Problem.REGRESSION:
            gap = (predictions[:, 0] - answers) * self._coder.width
            return {"rmse": float(np.sqrt(np.mean(gap ** 2)))}
        if self._problem is Problem.BINARY:
            scores = predictions[:, 0]
            return {"accuracy": float(np.mean((scores > 0) == (answers == 1))), "auc": self._roc_area(scores, answers)}
        return {"accuracy": float(np.mean(predictions.argmax(axis=1) == answers))}

    def leading(self, scores: Dict[str, float]) -> float:
        if self._problem is Problem.REGRESSION:
            return -scores["rmse"]
        if self._problem is Problem.BINARY and not np.isnan(scores["auc"]):
            return scores["auc"]
        return scores["accuracy"]

    @staticmethod
    def _roc_area(scores: np.ndarray, answers: np.ndarray) -> float:
        ones, zeros = int((answers == 1).sum()), int((answers == 0).sum())
        if ones == 0 or zeros == 0:
            return float("nan")
        _, bucket, sizes = np.unique(scores, return_inverse=True, return_counts=True)
        middle_ranks = np.cumsum(sizes) - (sizes - 1) / 2.0  # tied scores take the middle rank
        ones_total = middle_ranks[bucket][answers == 1].sum()
        return float((ones_total - ones * (ones + 1) / 2) / (ones * zeros))


def problem_loss(problem: Problem, predictions, answers):
    if problem is Problem.MULTICLASS:
        return optax.softmax_cross_entropy_with_integer_labels(predictions, answers).mean()
    if problem is Problem.BINARY:
        return optax.sigmoid_binary_cross_entropy(predictions[:, 0], answers.astype(jnp.float32)).mean()
    return jnp.mean((predictions[:, 0] - answers.astype(jnp.float32)) ** 2)


UNDECAYED_SCOPES = ("norm", "column_tokens", "symbol_table")


def decay_mask(weights):
    def is_decayed(path):
        if path[-1] == "bias":
            return False
        return not any(part.endswith(UNDECAYED_SCOPES) for part in path)

    return unflatten_dict({path: is_decayed(path) for path in flatten_dict(weights)})


def make_updater(options: FitOptions) -> optax.GradientTransformation:
    return optax.adamw(options.step_size, weight_decay=options.decay, mask=decay_mask)


class PatienceGuard:
    def __init__(self, tolerance: int):
        self._tolerance, self._idle = tolerance, 0
        self._top, self._top_weights = float("-inf"), None

    def note(self, score: float, weights) -> bool:
        """True means that fitting is over."""
        if score > self._top:
            self._top, self._idle = score, 0
            self._top_weights = weights  # JAX arrays never change, so no copy is needed
        else:
            self._idle += 1
        return self._idle >= self._tolerance

    def top_weights(self):
        if self._top_weights is None:
            raise RuntimeError("Not one epoch gave a finite dev score; reduce the step size.")
        return self._top_weights


@partial(jax.jit, static_argnums=0)
def forward(net: nn.Module, weights, reals, symbols):
    return net.apply({"params": weights}, reals, symbols, deterministic=True)


class ChunkedInference:
    def __init__(self, rows_per_chunk: int = 2048, platform: str = "cpu"):
        self._rows_per_chunk, self._device = rows_per_chunk, jax.devices(platform)[0]

    def run(self, net: nn.Module, weights, sheet: ArraySheet) -> np.ndarray:
        chunks = []
        for begin in range(0, len(sheet.answers), self._rows_per_chunk):
            part = slice(begin, begin + self._rows_per_chunk)
            reals = jax.device_put(sheet.reals[part], self._device)
            symbols = jax.device_put(sheet.symbols[part], self._device)
            chunks.append(np.asarray(forward(net, weights, reals, symbols)))
        return np.concatenate(chunks)


class SheetFitter:
    def __init__(self, problem: Problem, keeper: ScoreKeeper, options: FitOptions):
        self._problem, self._keeper, self._options = problem, keeper, options
        self._inference = ChunkedInference(platform=options.platform)

    def fit(self, net: nn.Module, train: ArraySheet, dev: ArraySheet, key):
        device = jax.devices(self._options.platform)[0]
        arrays = [jax.device_put(array, device) for array in (train.reals, train.symbols, train.answers)]
        key, start_key = jax.random.split(jax.device_put(key, device))
        weights = net.init(start_key, arrays[0][:1], arrays[1][:1])["params"]
        updater = make_updater(self._options)
        memory = updater.init(weights)
        guard = PatienceGuard(self._options.tolerance)

        @jax.jit
        def step(weights, memory, reals, symbols, answers, drop_key):
            def objective(candidate):
                predictions = net.apply({"params": candidate}, reals, symbols, deterministic=False,
                                        rngs={"dropout": drop_key})
                return problem_loss(self._problem, predictions, answers)

            gradients = jax.grad(objective)(weights)
            updates, memory = updater.update(gradients, memory, weights)
            return optax.apply_updates(weights, updates), memory

        total = len(train.answers)
        for _ in range(self._options.most_epochs):
            key, shuffle_key = jax.random.split(key)
            shuffled = jax.random.permutation(shuffle_key, total)
            for begin in range(0, total, self._options.rows_per_step):
                part = shuffled[begin:begin + self._options.rows_per_step]
                reals, symbols, answers = (array[part] for array in arrays)
                key, drop_key = jax.random.split(key)
                weights, memory = step(weights, memory, reals, symbols, answers, drop_key)
            if guard.note(self._keeper.leading(self.score(net, weights, dev)), weights):
                break
        return guard.top_weights()

    def score(self, net: nn.Module, weights, sheet: ArraySheet) -> Dict[str, float]:
        return self._keeper.compute(self._inference.run(net, weights, sheet), sheet.answers)


class Benchmark:
    def __init__(self, problem: Problem, normalizer: str, net_options: NetOptions, fit_options: FitOptions):
        self._problem, self._normalizer = problem, normalizer
        self._net_options, self._fit_options = net_options, fit_options

    def once(self, sheet: Sheet, kind: str, divide_seed: int, seed: int) -> Dict[str, float]:
        train, dev, held_out = ShuffleDivider().divide(sheet, divide_seed)
        encoder = SheetEncoder(self._problem, self._normalizer).learn(train)
        train, dev, held_out = (encoder.apply(part) for part in (train, dev, held_out))
        net = make_net(kind, train.reals.shape[1], encoder.level_counts, encoder.answer_coder.out_features,
                       self._net_options)
        keeper = ScoreKeeper(self._problem, encoder.answer_coder)
        fitter = SheetFitter(self._problem, keeper, self._fit_options)
        weights = fitter.fit(net, train, dev, jax.random.PRNGKey(seed))
        return fitter.score(net, weights, held_out)

    def repeated(self, sheet: Sheet, kind: str, divide_seed: int, seeds: List[int]) -> None:
        outcomes = [self.once(sheet, kind, divide_seed, seed) for seed in seeds]
        for score in outcomes[0]:
            numbers = [outcome[score] for outcome in outcomes]
            print(f"{kind:<12} {score:<9} {np.mean(numbers):.4f} +/- {np.std(numbers):.4f} ({len(seeds)} repeats)")


def cli() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sheet")
    parser.add_argument("--answer", required=True)
    parser.add_argument("--reals", nargs="*", default=[])
    parser.add_argument("--symbols", nargs="*", default=[])
    parser.add_argument("--problem", choices=[problem.value for problem in Problem], required=True)
    parser.add_argument("--normalizer", choices=["rank", "zscore"], default="rank")
    parser.add_argument("--nets", nargs="+", default=["transformer", "mlp"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--divide-seed", type=int, default=0)
    parser.add_argument("--platform", default="cpu")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must not be below 1")
    plan = ColumnPlan(tuple(options.reals), tuple(options.symbols), options.answer)
    sheet = SheetLoader(plan).load(options.sheet)
    benchmark = Benchmark(Problem(options.problem), options.normalizer, NetOptions(),
                          FitOptions(platform=options.platform))
    for kind in options.nets:
        benchmark.repeated(sheet, kind, options.divide_seed, list(range(options.repeats)))


if __name__ == "__main__":
    cli()

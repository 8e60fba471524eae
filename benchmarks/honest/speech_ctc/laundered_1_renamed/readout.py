# Symbol scores -> symbols.
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math

from network import NetOpts, UtteranceTagger
from torch import Tensor
import torch

Path = tuple[int, ...]
IMPOSSIBLE = -math.inf


@dataclass(frozen=True)
class ReadoutOpts:
    keep: int = 16
    per_frame: int = 20
    prior_scale: float = 0.5
    symbol_reward: float = 0.3
    null_id: int = 0


@dataclass
class Weight:
    null: float = IMPOSSIBLE
    symbol: float = IMPOSSIBLE
    extra: float = 0.0

    @property
    def heard(self) -> float:
        return sum_logs(self.null, self.symbol)

    @property
    def overall(self) -> float:
        return self.heard + self.extra


def sum_logs(p: float, q: float) -> float:
    big, small = max(p, q), min(p, q)
    return big if small == IMPOSSIBLE else big + math.log1p(math.exp(small - big))


class CountPrior:
    """Which symbols follow which."""

    def __init__(self, *, reach: int = 3, discount: float = 0.4) -> None:
        self.reach = reach
        self.ln_discount = math.log(discount)
        self.seen: Counter[Path] = Counter()
        self.seen_before: Counter[Path] = Counter()

    def learn(self, lines: Iterable[Sequence[int]]) -> CountPrior:
        for line in lines:
            for stop in range(1, len(line) + 1):
                for k in range(1, min(self.reach, stop) + 1):
                    piece = tuple(line[stop - k : stop])
                    self.seen[piece] += 1
                    self.seen_before[piece[:-1]] += 1
        return self

    def ln_prob(self, past: Path, symbol: int) -> float:
        cost = 0.0
        for k in range(min(self.reach - 1, len(past)), -1, -1):
            tail = past[len(past) - k :]
            times = self.seen[(*tail, symbol)]
            if times > 0:
                return cost + math.log(times / self.seen_before[tail])
            cost += self.ln_discount
        return cost - math.log(self.seen_before[()] + 1)


def best_per_frame(scores: Tensor, sizes: Tensor, *, null_id: int = 0) -> list[list[int]]:
    """The quick way."""
    lines = []
    for top, size in zip(scores.argmax(dim=-1), sizes.tolist(), strict=True):
        merged = torch.unique_consecutive(top[:size])
        lines.append(merged[merged != null_id].tolist())
    return lines


class PathSearch:
    """The thorough way."""

    def __init__(self, opts: ReadoutOpts, prior: CountPrior | None = None) -> None:
        self.opts = opts
        self.prior = prior

    def reward(self, path: Path, symbol: int) -> float:
        if self.prior is None:
            return 0.0
        return (
            self.opts.prior_scale * self.prior.ln_prob(path, symbol)
            + self.opts.symbol_reward
        )

    def advance(
        self, alive: dict[Path, Weight], options: list[tuple[int, float]]
    ) -> dict[Path, Weight]:
        grown: dict[Path, Weight] = defaultdict(Weight)
        for path, weight in alive.items():
            for symbol, lp in options:
                if symbol == self.opts.null_id:
                    kept = grown[path]
                    kept.null = sum_logs(kept.null, weight.heard + lp)
                    kept.extra = weight.extra
                    continue
                again = bool(path) and path[-1] == symbol
                if again:
                    kept = grown[path]
                    kept.symbol = sum_logs(kept.symbol, weight.symbol + lp)
                    kept.extra = weight.extra
                origin = weight.null if again else weight.heard
                if origin == IMPOSSIBLE:
                    continue
                child = grown[(*path, symbol)]
                child.symbol = sum_logs(child.symbol, origin + lp)
                child.extra = weight.extra + self.reward(path, symbol)
        in_order = sorted(grown.items(), reverse=True, key=lambda kv: kv[1].overall)
        return dict(in_order[: self.opts.keep])

    def __call__(self, scores: Tensor) -> list[int]:
        k = min(self.opts.per_frame, scores.shape[1])
        top_scores, top_symbols = scores.topk(k, dim=-1)
        alive = {(): Weight(null=0.0)}
        for symbols, values in zip(top_symbols.tolist(), top_scores.tolist(), strict=True):
            alive = self.advance(alive, list(zip(symbols, values, strict=True)))
        return list(max(alive.items(), key=lambda kv: kv[1].overall)[0])


def try_it() -> None:
    torch.manual_seed(0)
    net = UtteranceTagger(NetOpts(drop=0.0, depth=2, width=64, n_symbols=12))
    audio, sizes = torch.randn(2, 16_000), torch.tensor([16_000, 12_000])
    labels = [torch.tensor([1, 2, 2, 5, 7]), torch.tensor([4, 3, 9])]
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for it in range(60):
        err = net.criterion(audio, sizes, labels)
        opt.zero_grad()
        err.backward()
        opt.step()
        if it % 20 == 0:
            print(f'{it:3d}: {err.item():.3f}')

    net.eval()
    with torch.no_grad():
        scores, out_sizes = net(audio, sizes)
    prior = CountPrior(reach=3).learn([label.tolist() for label in labels])
    search = PathSearch(ReadoutOpts(), prior=prior)
    print('quick   ', best_per_frame(scores, out_sizes))
    print('thorough', [search(s[:size]) for s, size in zip(scores, out_sizes, strict=True)])


if __name__ == '__main__':
    try_it()

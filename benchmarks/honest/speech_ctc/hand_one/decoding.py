"""Greedy and prefix beam search; the latter may add an n-gram bonus."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from model import ModelConfig, SpeechRecognizer
from torch import Tensor

Prefix = tuple[int, ...]
NEG_INF = -math.inf


@dataclass(frozen=True)
class BeamConfig:
    """Width of the search and the weights of the language model."""

    beam_size: int = 16
    top_tokens: int = 20  # tokens considered per frame
    lm_weight: float = 0.5
    length_bonus: float = 0.3  # per token, against the language model's love of short output
    blank: int = 0


@dataclass
class Score:
    """Log-probabilities of a prefix, by whether its last frame is blank."""

    blank: float = NEG_INF
    token: float = NEG_INF
    bonus: float = 0.0

    @property
    def acoustic(self) -> float:
        """Both endings together."""
        return log_add(self.blank, self.token)

    @property
    def total(self) -> float:
        """What the beam is sorted by."""
        return self.acoustic + self.bonus


def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == NEG_INF else high + math.log1p(math.exp(low - high))


class NgramModel:
    """Token n-grams with stupid back-off."""

    def __init__(self, *, order: int = 3, backoff: float = 0.4) -> None:
        self.order = order
        self.log_backoff = math.log(backoff)
        self.counts: Counter[Prefix] = Counter()
        self.contexts: Counter[Prefix] = Counter()

    def fit(self, sentences: Iterable[Sequence[int]]) -> NgramModel:
        """Count all n-grams up to the order."""
        for sentence in sentences:
            for end in range(1, len(sentence) + 1):
                for n in range(1, min(self.order, end) + 1):
                    gram = tuple(sentence[end - n : end])
                    self.counts[gram] += 1
                    self.contexts[gram[:-1]] += 1
        return self

    def log_score(self, history: Prefix, token: int) -> float:
        """Score of a token after a history."""
        penalty = 0.0
        for n in range(min(self.order - 1, len(history)), -1, -1):
            context = history[len(history) - n :]
            count = self.counts[(*context, token)]
            if count > 0:
                return penalty + math.log(count / self.contexts[context])
            penalty += self.log_backoff
        return penalty - math.log(self.contexts[()] + 1)


def greedy_decode(log_probs: Tensor, lengths: Tensor, *, blank: int = 0) -> list[list[int]]:
    """(B, T, V), (B,) -> one token list per item."""
    results = []
    for best, length in zip(log_probs.argmax(dim=-1), lengths.tolist(), strict=True):
        collapsed = torch.unique_consecutive(best[:length])
        results.append(collapsed[collapsed != blank].tolist())
    return results


class BeamSearch:
    """CTC prefix beam search."""

    def __init__(self, config: BeamConfig, lm: NgramModel | None = None) -> None:
        self.config = config
        self.lm = lm

    def bonus(self, prefix: Prefix, token: int) -> float:
        """What appending a token adds beside the acoustics."""
        if self.lm is None:
            return 0.0
        return self.config.lm_weight * self.lm.log_score(prefix, token) + self.config.length_bonus

    def step(self, beam: dict[Prefix, Score], frame: list[tuple[int, float]]) -> dict[Prefix, Score]:
        """Extend every prefix by every token of a frame."""
        following: dict[Prefix, Score] = defaultdict(Score)
        for prefix, score in beam.items():
            for token, logp in frame:
                if token == self.config.blank:
                    same = following[prefix]
                    same.blank = log_add(same.blank, score.acoustic + logp)
                    same.bonus = score.bonus
                    continue
                repeated = bool(prefix) and prefix[-1] == token
                if repeated:  # without a blank between them, two equal tokens are one
                    same = following[prefix]
                    same.token = log_add(same.token, score.token + logp)
                    same.bonus = score.bonus
                source = score.blank if repeated else score.acoustic
                if source == NEG_INF:
                    continue
                longer = following[(*prefix, token)]
                longer.token = log_add(longer.token, source + logp)
                longer.bonus = score.bonus + self.bonus(prefix, token)
        ranked = sorted(following.items(), key=lambda item: item[1].total, reverse=True)
        return dict(ranked[: self.config.beam_size])

    def __call__(self, log_probs: Tensor) -> list[int]:
        """One utterance (T, V) -> its best tokens."""
        width = min(self.config.top_tokens, log_probs.shape[1])
        values, tokens = log_probs.topk(width, dim=-1)  # (T, K)
        beam = {(): Score(blank=0.0)}
        for frame_tokens, frame_values in zip(tokens.tolist(), values.tolist(), strict=True):
            beam = self.step(beam, list(zip(frame_tokens, frame_values, strict=True)))
        return list(max(beam.items(), key=lambda item: item[1].total)[0])


def main() -> None:
    """Overfit two random utterances, then decode them both ways."""
    torch.manual_seed(0)
    model = SpeechRecognizer(ModelConfig(vocab_size=12, dim=64, num_layers=2, dropout=0.0))
    wave, lengths = torch.randn(2, 16_000), torch.tensor([16_000, 12_000])
    targets = [torch.tensor([1, 2, 2, 5, 7]), torch.tensor([4, 3, 9])]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(60):
        loss = model.loss(wave, lengths, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step:3d}  loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        log_probs, out_lengths = model(wave, lengths)
    lm = NgramModel(order=3).fit([target.tolist() for target in targets])
    search = BeamSearch(BeamConfig(), lm=lm)
    print("greedy", greedy_decode(log_probs, out_lengths))
    print("beam  ", [search(item[:length]) for item, length in zip(log_probs, out_lengths, strict=True)])


if __name__ == "__main__":
    main()

"""CTC decoders working on the log probabilities of the Keras model."""

import collections
import dataclasses
import math

import keras
import numpy as np
from conformer_keras import ConformerCTC, ConformerParams
from keras import ops

LOG_ZERO = -math.inf


@dataclasses.dataclass(frozen=True)
class DecoderParams:
    beam_width: int = 16
    max_candidates: int = 20
    ngram_weight: float = 0.5
    token_reward: float = 0.3
    blank_id: int = 0


@dataclasses.dataclass
class Hypothesis:
    log_blank: float = LOG_ZERO
    log_nonblank: float = LOG_ZERO
    lm_score: float = 0.0

    def log_prob(self):
        return log_sum(self.log_blank, self.log_nonblank)

    def sort_key(self):
        return self.log_prob() + self.lm_score


def log_sum(x, y):
    larger, smaller = max(x, y), min(x, y)
    if smaller == LOG_ZERO:
        return larger
    return larger + math.log1p(math.exp(smaller - larger))


class StupidBackoff:
    def __init__(self, n=3, alpha=0.4):
        self.n = n
        self.log_alpha = math.log(alpha)
        self.ngram_counts = collections.Counter()
        self.context_counts = collections.Counter()

    def train(self, corpus):
        for tokens in corpus:
            for stop in range(1, len(tokens) + 1):
                for size in range(1, min(self.n, stop) + 1):
                    ngram = tuple(tokens[stop - size : stop])
                    self.ngram_counts[ngram] += 1
                    self.context_counts[ngram[:-1]] += 1
        return self

    def score(self, context, token):
        backoff = 0.0
        for size in range(min(self.n - 1, len(context)), -1, -1):
            suffix = context[len(context) - size :]
            count = self.ngram_counts[suffix + (token,)]
            if count > 0:
                return backoff + math.log(count / self.context_counts[suffix])
            backoff += self.log_alpha
        return backoff - math.log(self.context_counts[()] + 1)


def decode_greedy(log_probs, sizes, blank_id=0):
    decoded = []
    best_ids = ops.convert_to_numpy(ops.argmax(log_probs, axis=-1))
    for ids, size in zip(best_ids, ops.convert_to_numpy(sizes)):
        ids = ids[:size]
        changed = np.append(True, ids[1:] != ids[:-1])
        ids = ids[changed]
        decoded.append(ids[ids != blank_id].tolist())
    return decoded


class PrefixBeamDecoder:
    def __init__(self, params, ngram=None):
        self.params = params
        self.ngram = ngram

    def extension_score(self, prefix, token):
        if self.ngram is None:
            return 0.0
        return self.params.ngram_weight * self.ngram.score(prefix, token) + self.params.token_reward

    def advance(self, hypotheses, candidates):
        updated = collections.defaultdict(Hypothesis)
        for prefix, hyp in hypotheses.items():
            for token, log_p in candidates:
                if token == self.params.blank_id:
                    unchanged = updated[prefix]
                    unchanged.log_blank = log_sum(unchanged.log_blank, hyp.log_prob() + log_p)
                    unchanged.lm_score = hyp.lm_score
                    continue
                is_repeat = len(prefix) > 0 and prefix[-1] == token
                if is_repeat:
                    unchanged = updated[prefix]
                    unchanged.log_nonblank = log_sum(unchanged.log_nonblank, hyp.log_nonblank + log_p)
                    unchanged.lm_score = hyp.lm_score
                base = hyp.log_blank if is_repeat else hyp.log_prob()
                if base == LOG_ZERO:
                    continue
                extended = updated[prefix + (token,)]
                extended.log_nonblank = log_sum(extended.log_nonblank, base + log_p)
                extended.lm_score = hyp.lm_score + self.extension_score(prefix, token)
        best = sorted(updated.items(), key=lambda kv: kv[1].sort_key(), reverse=True)
        return dict(best[: self.params.beam_width])

    def decode(self, log_probs):
        """log_probs (T, V) of one utterance."""
        k = min(self.params.max_candidates, log_probs.shape[1])
        values, ids = ops.top_k(log_probs, k)
        values, ids = ops.convert_to_numpy(values).tolist(), ops.convert_to_numpy(ids).tolist()
        hypotheses = {(): Hypothesis(log_blank=0.0)}
        for frame_values, frame_ids in zip(values, ids):
            hypotheses = self.advance(hypotheses, list(zip(frame_ids, frame_values)))
        return list(max(hypotheses.items(), key=lambda kv: kv[1].sort_key())[0])


def main():
    keras.utils.set_random_seed(0)
    params = ConformerParams(num_tokens=12, hidden_dim=64, num_blocks=2, dropout_rate=0.0)
    model = ConformerCTC(params)
    inputs = {
        "audio": np.random.randn(2, 16000).astype("float32"),
        "num_samples": np.array([16000, 12000], dtype="int32"),
    }
    sentences = [[1, 2, 2, 5, 7], [4, 3, 9]]
    labels = {
        "tokens": np.array([[1, 2, 2, 5, 7], [4, 3, 9, 0, 0]], dtype="int32"),
        "token_counts": np.array([5, 3], dtype="int32"),
    }
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=0.01))
    history = model.fit(inputs, labels, batch_size=2, epochs=60, verbose=0)
    for epoch in range(0, 60, 20):
        print(f"epoch {epoch}  loss {history.history['loss'][epoch]:.3f}")

    outputs = model(inputs, training=False)
    decoder = PrefixBeamDecoder(DecoderParams(), StupidBackoff().train(sentences))
    print("greedy:", decode_greedy(outputs["log_probs"], outputs["sizes"]))
    for log_probs, size in zip(outputs["log_probs"], ops.convert_to_numpy(outputs["sizes"])):
        print("beam:", decoder.decode(log_probs[:size]))


if __name__ == "__main__":
    main()

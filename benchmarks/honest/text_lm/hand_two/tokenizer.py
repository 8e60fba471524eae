"""Byte-level byte-pair encoding, trained directly from text."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Sequence

logger = logging.getLogger(__name__)

TokenPair = tuple[int, int]

NUM_BYTES = 256
WORD_PATTERN = re.compile(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]+|_+|\s+")
DEFAULT_SPECIAL_TOKENS = ("<|begin|>", "<|end|>", "<|pad|>")


def replace_pair(symbols: Sequence[int], pair: TokenPair, replacement: int) -> tuple[int, ...]:
    """Replace every non-overlapping occurrence of ``pair``, scanning from the left."""
    merged: list[int] = []
    position = 0
    while position < len(symbols):
        if position + 1 < len(symbols) and (symbols[position], symbols[position + 1]) == pair:
            merged.append(replacement)
            position += 2
        else:
            merged.append(symbols[position])
            position += 1
    return tuple(merged)


class BytePairTokenizer:
    """Ids are laid out as: 256 bytes, then merged pairs in order of training, then special tokens."""

    def __init__(
        self, merges: Sequence[TokenPair], special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS
    ) -> None:
        self.merges = [tuple(pair) for pair in merges]
        self._rank_by_pair = {pair: rank for rank, pair in enumerate(self.merges)}
        self._bytes_by_id = [bytes([value]) for value in range(NUM_BYTES)]
        for left, right in self.merges:
            self._bytes_by_id.append(self._bytes_by_id[left] + self._bytes_by_id[right])
        first_special = len(self._bytes_by_id)
        self.special_tokens = {token: first_special + offset for offset, token in enumerate(special_tokens)}
        self._special_by_id = {identifier: token for token, identifier in self.special_tokens.items()}
        self._encode_word = lru_cache(maxsize=65536)(self._merge_word)

    @property
    def vocabulary_size(self) -> int:
        return len(self._bytes_by_id) + len(self.special_tokens)

    @property
    def end_id(self) -> int:
        return self.special_tokens["<|end|>"]

    def _merge_word(self, word: str) -> tuple[int, ...]:
        symbols: tuple[int, ...] = tuple(word.encode("utf-8"))
        while len(symbols) > 1:
            ranked = [
                self._rank_by_pair[pair] for pair in zip(symbols, symbols[1:]) if pair in self._rank_by_pair
            ]
            if not ranked:
                break
            best_rank = min(ranked)
            symbols = replace_pair(symbols, self.merges[best_rank], NUM_BYTES + best_rank)
        return symbols

    def encode(self, text: str, add_end: bool = False) -> list[int]:
        token_ids: list[int] = []
        for word in WORD_PATTERN.findall(text):
            token_ids.extend(self._encode_word(word))
        return token_ids + [self.end_id] if add_end else token_ids

    def decode(self, token_ids: Iterable[int], keep_special: bool = False) -> str:
        chunks: list[bytes] = []
        for identifier in token_ids:
            if identifier < len(self._bytes_by_id):
                chunks.append(self._bytes_by_id[identifier])
            elif keep_special:
                chunks.append(self._special_by_id[identifier].encode("utf-8"))
        return b"".join(chunks).decode("utf-8", errors="replace")

    def save(self, path: Path) -> None:
        document = {"merges": self.merges, "special_tokens": list(self.special_tokens)}
        path.write_text(json.dumps(document), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "BytePairTokenizer":
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls([tuple(pair) for pair in document["merges"]], document["special_tokens"])


class BytePairTrainer:
    """Learns merges; pair counts are updated only for the words that a merge touches."""

    def __init__(self, vocabulary_size: int, minimum_frequency: int = 2) -> None:
        self.num_merges = vocabulary_size - NUM_BYTES - len(DEFAULT_SPECIAL_TOKENS)
        if self.num_merges < 0:
            raise ValueError("vocabulary_size must cover all bytes and the special tokens")
        self.minimum_frequency = minimum_frequency

    def train(self, texts: Iterable[str]) -> BytePairTokenizer:
        word_counts = Counter(word for text in texts for word in WORD_PATTERN.findall(text))
        words = [tuple(word.encode("utf-8")) for word in word_counts]
        frequencies = list(word_counts.values())

        pair_counts: Counter[TokenPair] = Counter()
        words_by_pair: defaultdict[TokenPair, set[int]] = defaultdict(set)
        for word_index, symbols in enumerate(words):
            for pair in zip(symbols, symbols[1:]):
                pair_counts[pair] += frequencies[word_index]
                words_by_pair[pair].add(word_index)

        merges: list[TokenPair] = []
        while len(merges) < self.num_merges and pair_counts:
            best_pair = max(pair_counts, key=lambda pair: (pair_counts[pair], pair))
            if pair_counts[best_pair] < self.minimum_frequency:
                break
            new_id = NUM_BYTES + len(merges)
            merges.append(best_pair)
            for word_index in words_by_pair.pop(best_pair):
                old_symbols = words[word_index]
                new_symbols = replace_pair(old_symbols, best_pair, new_id)
                for pair in zip(old_symbols, old_symbols[1:]):
                    pair_counts[pair] -= frequencies[word_index]
                for pair in zip(new_symbols, new_symbols[1:]):
                    pair_counts[pair] += frequencies[word_index]
                    words_by_pair[pair].add(word_index)
                words[word_index] = new_symbols
            del pair_counts[best_pair]
        logger.info("Learned %d merges from %d distinct words", len(merges), len(words))
        return BytePairTokenizer(merges)

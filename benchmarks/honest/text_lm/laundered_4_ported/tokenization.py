"""Byte-level BPE vocabulary for the JAX text generator.

Ids 0-255 are the bytes, then come the merged symbols in training order, then the control tokens.
"""

import argparse
import collections
import functools
import json
import re

SPLITTER = re.compile(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]+|_+|\s+(?!\S)|\s+")
CONTROL_TOKENS = ("<bos>", "<eos>", "<pad>")


def apply_merge(symbols, bigram, merged_id):
    merged = []
    pos = 0
    while pos < len(symbols):
        if tuple(symbols[pos : pos + 2]) == bigram:
            merged.append(merged_id)
            pos += 2
        else:
            merged.append(symbols[pos])
            pos += 1
    return merged


def train_bpe(documents, vocab_size):
    """Learn merges; ties in frequency go to the lower ids."""
    word_counts = collections.Counter(word for doc in documents for word in SPLITTER.findall(doc))
    words = [list(word.encode()) for word in word_counts]
    counts = list(word_counts.values())
    bigram_counts = collections.Counter()
    bigram_words = collections.defaultdict(set)
    for index, word in enumerate(words):
        for bigram in zip(word, word[1:]):
            bigram_counts[bigram] += counts[index]
            bigram_words[bigram].add(index)

    merge_list = []
    num_merges = vocab_size - 256 - len(CONTROL_TOKENS)
    while len(merge_list) < num_merges and bigram_counts:
        top = min(bigram_counts, key=lambda bigram: (-bigram_counts[bigram], bigram))
        if bigram_counts[top] < 2:
            break
        merged_id = 256 + len(merge_list)
        merge_list.append(top)
        for index in bigram_words.pop(top):
            for bigram in zip(words[index], words[index][1:]):
                bigram_counts[bigram] -= counts[index]
            words[index] = apply_merge(words[index], top, merged_id)
            for bigram in zip(words[index], words[index][1:]):
                bigram_counts[bigram] += counts[index]
                bigram_words[bigram].add(index)
        bigram_counts = +bigram_counts
    return merge_list


class BPETokenizer:
    def __init__(self, merge_list):
        self.merge_list = merge_list
        self.id_to_bytes = [bytes([b]) for b in range(256)]
        for left, right in merge_list:
            self.id_to_bytes.append(self.id_to_bytes[left] + self.id_to_bytes[right])
        self.merge_ranks = {tuple(bigram): rank for rank, bigram in enumerate(merge_list)}
        self.control_ids = {token: len(self.id_to_bytes) + n for n, token in enumerate(CONTROL_TOKENS)}
        self.vocab_size = len(self.id_to_bytes) + len(self.control_ids)
        self.tokenize_word = functools.lru_cache(maxsize=1 << 16)(self._tokenize_word)

    def _tokenize_word(self, word):
        symbols = list(word.encode())
        no_rank = len(self.merge_ranks)
        while len(symbols) > 1:
            rank, bigram = min((self.merge_ranks.get(b, no_rank), b) for b in zip(symbols, symbols[1:]))
            if rank == no_rank:
                break
            symbols = apply_merge(symbols, bigram, 256 + rank)
        return tuple(symbols)

    def encode(self, text, add_bos=False, add_eos=False):
        token_ids = [token for word in SPLITTER.findall(text) for token in self.tokenize_word(word)]
        if add_bos:
            token_ids = [self.control_ids["<bos>"]] + token_ids
        if add_eos:
            token_ids = token_ids + [self.control_ids["<eos>"]]
        return token_ids

    def decode(self, token_ids):
        data = b"".join(self.id_to_bytes[i] for i in token_ids if i < len(self.id_to_bytes))
        return data.decode(errors="replace")

    def save_pretrained(self, filename):
        with open(filename, "w") as handle:
            json.dump({"merges": self.merge_list}, handle)

    @classmethod
    def from_pretrained(cls, filename):
        with open(filename) as handle:
            return cls([tuple(bigram) for bigram in json.load(handle)["merges"]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the BPE vocabulary.")
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--vocab_size", type=int, default=8192)
    parser.add_argument("--output", default="tokenizer.json")
    args = parser.parse_args()
    documents = (open(name, encoding="utf-8", errors="replace").read() for name in args.inputs)
    BPETokenizer(train_bpe(documents, args.vocab_size)).save_pretrained(args.output)

"""Byte-pair encoding, trained on plain text.

Text is cut into chunks that no merge crosses; a chunk is its UTF-8 bytes; token k < 256 is byte k, token 256 + r is
the r-th merge, and the special tokens come after the merges. A codec is a dict and nothing more.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from functools import lru_cache

CHUNK = re.compile(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]+|_+|\s+(?!\S)|\s+")
SPECIALS = ("<bos>", "<eos>", "<pad>")


def fuse(seq, pair, new):
    out, i = [], 0
    while i < len(seq):
        if tuple(seq[i : i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(seq[i])
            i += 1
    return out


def learn(texts, vocab):
    """Merges, most frequent pair first; on equal counts the pair of the smaller tokens."""
    counts = Counter(chunk for t in texts for chunk in CHUNK.findall(t))
    seqs = [list(c.encode()) for c in counts]
    freq = list(counts.values())
    pairs, where = Counter(), defaultdict(set)
    for k, s in enumerate(seqs):
        for pair in zip(s, s[1:]):
            pairs[pair] += freq[k]
            where[pair].add(k)
    merges = []
    while len(merges) < vocab - 256 - len(SPECIALS) and pairs:
        best = min(pairs, key=lambda p: (-pairs[p], p))
        if pairs[best] < 2:
            break
        new = 256 + len(merges)
        merges.append(best)
        for k in where.pop(best):  # only chunks that hold the pair change their counts
            for pair in zip(seqs[k], seqs[k][1:]):
                pairs[pair] -= freq[k]
            seqs[k] = fuse(seqs[k], best, new)
            for pair in zip(seqs[k], seqs[k][1:]):
                pairs[pair] += freq[k]
                where[pair].add(k)
        pairs = +pairs  # drop zeros
    return merges


def codec(merges):
    table = [bytes([b]) for b in range(256)]
    for a, b in merges:
        table.append(table[a] + table[b])
    rank = {tuple(p): r for r, p in enumerate(merges)}
    special = {s: len(table) + k for k, s in enumerate(SPECIALS)}

    @lru_cache(maxsize=1 << 16)
    def chunk(text):
        s = list(text.encode())
        while len(s) > 1:
            r, pair = min((rank.get(p, len(rank)), p) for p in zip(s, s[1:]))
            if r == len(rank):
                break
            s = fuse(s, pair, 256 + r)
        return tuple(s)

    return {"merges": merges, "table": table, "special": special, "chunk": chunk, "size": len(table) + len(special)}


def encode(cd, text, bos=False, eos=False):
    ids = [i for c in CHUNK.findall(text) for i in cd["chunk"](c)]
    return [cd["special"]["<bos>"]] * bos + ids + [cd["special"]["<eos>"]] * eos


def decode(cd, ids):
    return b"".join(cd["table"][i] for i in ids if i < len(cd["table"])).decode(errors="replace")


def save(cd, path):
    with open(path, "w") as f:
        json.dump({"merges": cd["merges"]}, f)


def load(path):
    with open(path) as f:
        return codec([tuple(p) for p in json.load(f)["merges"]])


if __name__ == "__main__":
    q = argparse.ArgumentParser(description="Learn a byte-pair vocabulary from text files.")
    q.add_argument("files", nargs="+")
    q.add_argument("--vocab", type=int, default=8192)
    q.add_argument("--out", default="bpe.json")
    a = q.parse_args()
    texts = (open(f, encoding="utf-8", errors="replace").read() for f in a.files)
    save(codec(learn(texts, a.vocab)), a.out)

"""Word pieces: byte-level merges as one class that learns, encodes, decodes and stores itself."""

import json
import re
from functools import lru_cache

WORDS = re.compile(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]+|_+|\s+(?!\S)|\s+")
START, STOP, FILL = "<bos>", "<eos>", "<pad>"
MARKERS = [START, STOP, FILL]


def replace_pair(code, left, right):
    """A function that writes code for each (left, right) in a list of numbers."""

    def apply(numbers):
        merged = []
        skip = False
        for here, following in zip(numbers, [*numbers[1:], None]):
            if skip:
                skip = False
                continue
            skip = here == left and following == right
            merged.append(code if skip else here)
        return merged

    return apply


class WordPieces:
    def __init__(self, pairs):
        self.pairs = [tuple(pair) for pair in pairs]
        self.pieces = [bytes((value,)) for value in range(256)]
        self.order = {}
        for place, (left, right) in enumerate(self.pairs):
            self.pieces.append(self.pieces[left] + self.pieces[right])
            self.order[left, right] = place
        self.markers = dict(zip(MARKERS, range(len(self.pieces), len(self.pieces) + len(MARKERS))))
        self._split = lru_cache(maxsize=65536)(self._split_word)

    def __len__(self):
        return len(self.pieces) + len(self.markers)

    @property
    def stop(self):
        return self.markers[STOP]

    def _split_word(self, word):
        numbers = list(word.encode("utf-8"))
        while True:
            known = [pair for pair in zip(numbers, numbers[1:]) if pair in self.order]
            if not known:
                return tuple(numbers)
            first = min(known, key=self.order.__getitem__)
            numbers = replace_pair(self.order[first] + 256, *first)(numbers)

    def encode(self, text, *, add_stop=False, add_start=False):
        numbers = []
        if add_start:
            numbers.append(self.markers[START])
        for word in WORDS.findall(text):
            numbers.extend(self._split(word))
        if add_stop:
            numbers.append(self.stop)
        return numbers

    def decode(self, numbers):
        limit = len(self.pieces)
        raw = bytearray()
        for number in numbers:
            if number >= limit:
                continue
            raw += self.pieces[number]
        return raw.decode("utf-8", errors="replace")

    def to_file(self, target):
        with open(target, "w") as out:
            out.write(json.dumps({"pairs": self.pairs}))

    @classmethod
    def from_file(cls, source):
        with open(source) as inp:
            return cls(json.loads(inp.read())["pairs"])

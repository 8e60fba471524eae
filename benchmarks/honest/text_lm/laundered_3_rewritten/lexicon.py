"""The lexicon: text as short strings of symbols.

A symbol is one character of a Python string whose code point is its number, so that merging two neighbours in a word
is one call of str.replace, and counting neighbours is counting slices.
"""

import heapq
import itertools
import json
import pathlib
from collections import Counter, deque

BYTES = 256


def kind(character):
    if character.isspace():
        return "blank"
    if character == "_":
        return "bar"
    if character.isdecimal():
        return "digit"
    return "letter" if character.isalnum() else "mark"


def thirds(run, lead):
    """A number in groups of three digits; the blank before it belongs to the first group."""
    yield lead + run[:3]
    for at in range(3, len(run), 3):
        yield run[at : at + 3]


def words(text):
    """Cut a text where the kind of character changes; one plain space may stick to what follows it."""
    runs = deque((name, "".join(run)) for name, run in itertools.groupby(text, kind))
    lead = ""
    while runs:
        name, run = runs.popleft()
        if name == "blank":
            if runs:
                if len(run) > 1:
                    yield run[:-1]
                run = run[-1]
                if run == " " and runs[0][0] != "bar":
                    lead = run
                    continue
            yield run
        elif name == "digit":
            yield from thirds(run, lead)
        else:
            yield lead + run
        lead = ""


def symbols(word):
    return word.encode("utf-8").decode("latin-1")


def neighbours(word):
    return (word[at : at + 2] for at in range(len(word) - 1))


def induct(texts, size):
    """Grow a lexicon of the given size; returns the couples in order of birth.

    A heap proposes the most frequent couple. Its entries go stale when a merge changes a count, so an entry is
    believed only if it still tells the present count.
    """
    corpus = Counter(symbols(word) for text in texts for word in words(text))
    homes, tally = {}, Counter()
    for word, times in corpus.items():
        for couple in neighbours(word):
            tally[couple] += times
            homes.setdefault(couple, set()).add(word)
    heap = [(-times, couple) for couple, times in tally.items()]
    heapq.heapify(heap)
    born = []
    while heap and len(born) < size - BYTES - 3:
        times, couple = heapq.heappop(heap)
        if tally[couple] != -times:
            continue
        if times > -2:
            break
        child = chr(BYTES + len(born))
        born.append(couple)
        change = Counter()
        for old in homes.pop(couple):
            new = old.replace(couple, child)
            times = corpus.pop(old)
            corpus[new] = times
            for piece in neighbours(old):
                change[piece] -= times
                homes.get(piece, set()).discard(old)
            for piece in neighbours(new):
                change[piece] += times
                homes.setdefault(piece, set()).add(new)
        for piece, delta in change.items():
            if delta:
                tally[piece] += delta
                heapq.heappush(heap, (-tally[piece], piece))
    return born


class Lexicon:
    def __init__(self, couples):
        self.couples = couples
        self.birth = {couple: BYTES + age for age, couple in enumerate(couples)}
        self.meaning = {chr(byte): bytes([byte]) for byte in range(BYTES)}
        for couple, number in self.birth.items():
            self.meaning[chr(number)] = b"".join(map(self.meaning.get, couple))
        self.open, self.close, self.pad = range(len(self.meaning), len(self.meaning) + 3)
        self.size = self.pad + 1
        self.known = {}

    def shorten(self, word):
        if word not in self.known:
            line = symbols(word)
            while oldest := min((self.birth[c] for c in neighbours(line) if c in self.birth), default=None):
                line = line.replace(self.couples[oldest - BYTES], chr(oldest))
            if len(self.known) >= 65536:
                self.known.clear()
            self.known[word] = [ord(symbol) for symbol in line]
        return self.known[word]

    def numbers(self, text):
        return list(itertools.chain.from_iterable(map(self.shorten, words(text))))

    def text(self, numbers):
        spoken = (self.meaning.get(chr(number), b"") for number in numbers)
        return b"".join(spoken).decode("utf-8", "replace")

    def document(self, path):
        """A whole file between the opening and the closing number."""
        text = pathlib.Path(path).read_text("utf-8", "replace")
        return [self.open, *self.numbers(text), self.close]

    def keep(self, path):
        pathlib.Path(path).write_text(json.dumps([[ord(s) for s in couple] for couple in self.couples]))


def recall(path):
    stored = json.loads(pathlib.Path(path).read_text())
    return Lexicon([chr(left) + chr(right) for left, right in stored])

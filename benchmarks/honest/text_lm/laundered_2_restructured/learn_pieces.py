"""Learn word pieces from text files."""

from argparse import ArgumentParser
from collections import Counter, defaultdict
from pathlib import Path

from wordpieces import MARKERS, WORDS, WordPieces, replace_pair


class PairStatistics:
    """How often neighbours meet, and in which words they do."""

    def __init__(self, words):
        self.spelling = [list(word.encode("utf-8")) for word in words]
        self.weight = [words[word] for word in words]
        self.frequency = Counter()
        self.members = defaultdict(set)
        for index in range(len(self.spelling)):
            self._enter(index)

    def _neighbours(self, index):
        numbers = self.spelling[index]
        return zip(numbers[:-1], numbers[1:])

    def _enter(self, index):
        for pair in self._neighbours(index):
            self.members[pair].add(index)
            self.frequency[pair] += self.weight[index]

    def _leave(self, index):
        for pair in self._neighbours(index):
            self.frequency[pair] -= self.weight[index]

    def top(self):
        """The most frequent pair, the smaller one on a tie, or None when nothing occurs twice."""
        if not self.frequency:
            return None
        most = max(self.frequency.values())
        if most < 2:
            return None
        return min(pair for pair, times in self.frequency.items() if times == most)

    def merge(self, pair, code):
        shorten = replace_pair(code, *pair)
        affected = self.members.pop(pair)
        for index in affected:
            self._leave(index)
            self.spelling[index] = shorten(self.spelling[index])
            self._enter(index)
        self.frequency = Counter({key: times for key, times in self.frequency.items() if times > 0})


def learn_pieces(size, texts):
    words = Counter()
    for text in texts:
        words.update(WORDS.findall(text))
    statistics = PairStatistics(words)
    pairs = []
    for code in range(256, size - len(MARKERS)):
        pair = statistics.top()
        if pair is None:
            break
        statistics.merge(pair, code)
        pairs.append(pair)
    return WordPieces(pairs)


def main():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--pieces", default=8192, type=int)
    parser.add_argument("--target", default="pieces.json")
    options = parser.parse_args()
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in options.texts)
    learn_pieces(options.pieces, texts).to_file(options.target)


if __name__ == "__main__":
    main()

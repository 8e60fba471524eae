"""From a log-probability stream to symbols. Symbol 0 says nothing."""

import heapq
from itertools import groupby

import numpy as np
import torch
from stages import Transcriber
from stream import gather_streams


class Node:
    """A text as a path in a trie, with the log-probability mass that has reached it."""

    __slots__ = ("parent", "symbol", "favour", "children", "mass", "incoming")

    def __init__(self, parent=None, symbol=None, favour=0.0):
        self.parent, self.symbol, self.favour = parent, symbol, favour
        self.children = {}
        self.mass = self.incoming = (-np.inf, -np.inf)  # (last tick silent, last tick spoken)

    def text(self):
        node, out = self, []
        while node.parent is not None:
            out.append(node.symbol)
            node = node.parent
        return tuple(reversed(out))

    def merit(self):
        return np.logaddexp(*self.mass) + self.favour

    def receive(self, silent=-np.inf, spoken=-np.inf):
        a, b = self.incoming
        self.incoming = (np.logaddexp(a, silent), np.logaddexp(b, spoken))

    def commit(self):
        self.mass, self.incoming = self.incoming, (-np.inf, -np.inf)
        return self


class Habits:
    """Continuation counts per context, contexts of up to two symbols; each shortening costs a factor 0.4."""

    def __init__(self, texts, longest=2, forget=0.4):
        self.longest, self.forget = longest, forget
        self.after = {(): {}}
        for text in map(tuple, texts):
            for end, symbol in enumerate(text):
                for begin in range(max(0, end - longest), end + 1):
                    row = self.after.setdefault(text[begin:end], {})
                    row[symbol] = row.get(symbol, 0) + 1

    def __getitem__(self, key):
        past, symbol = key
        past = past[max(0, len(past) - self.longest) :]
        for cut in range(len(past) + 1):
            row = self.after.get(past[cut:], {})
            if symbol in row:
                return np.log(self.forget**cut * row[symbol] / sum(row.values()))
        return np.log(self.forget ** (len(past) + 1) / (sum(self.after[()].values()) + 1))


class TrieReader:
    def __init__(self, habits=None, alive=16, tried=20, trust=0.5, urge=0.3):
        self.habits, self.alive, self.tried = habits, alive, tried
        self.trust, self.urge = trust, urge

    def child(self, node, symbol):
        if symbol not in node.children:
            favour = node.favour
            if self.habits is not None:
                favour += self.trust * self.habits[node.text(), symbol] + self.urge
            node.children[symbol] = Node(node, symbol, favour)
        return node.children[symbol]

    def tick(self, nodes, column):
        touched = dict.fromkeys(nodes)
        heard = [(node, node.mass[0], np.logaddexp(*node.mass)) for node in nodes]
        for symbol in np.argsort(-column)[: self.tried].tolist():
            gain = column[symbol]
            for node, silent, total in heard:
                if symbol == 0:
                    node.receive(silent=total + gain)
                    continue
                way_out = total
                if symbol == node.symbol:  # holding a symbol is not saying it twice
                    node.receive(spoken=node.mass[1] + gain)
                    way_out = silent
                if way_out > -np.inf:
                    longer = self.child(node, symbol)
                    longer.receive(spoken=way_out + gain)
                    touched[longer] = None
        reached = [node.commit() for node in touched]
        return heapq.nlargest(self.alive, reached, key=Node.merit)

    def read(self, columns):
        """(symbols, ticks) array of log-probabilities -> list of symbols."""
        root = Node()
        root.mass = (0.0, -np.inf)
        nodes = [root]
        for column in np.asarray(columns, dtype=np.float64).T:
            nodes = self.tick(nodes, column)
        return list(nodes[0].text())


def skim(stream):
    """The likeliest symbol of every tick, runs taken once."""
    ids = stream.data.argmax(1).tolist()
    return [[k for k, _ in groupby(row[:n]) if k] for row, n in zip(ids, stream.extent.tolist())]


if __name__ == "__main__":
    torch.manual_seed(0)
    net = Transcriber(symbols=12, channels=64, layers=2, drop=0.0)
    audio = gather_streams([torch.randn(16_000), torch.randn(12_000)])
    texts = list(map(torch.tensor, ([1, 2, 2, 5, 7], [4, 3, 9])))
    optim = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for turn in range(60):
        cost = net.surprise(audio, texts)
        net.zero_grad()
        cost.backward()
        optim.step()
        if turn in {0, 20, 40}:
            print(f"turn {turn}: {float(cost.detach()):.3f}")
    with torch.inference_mode():
        heard = net.eval()(audio)
    print("skimmed", skim(heard))
    reader = TrieReader(Habits(t.tolist() for t in texts))
    print("read", [reader.read(d[:, :n].numpy()) for d, n in zip(heard.data, heard.extent)])

"""Which molecules are learnt from, tuned on and examined."""

import heapq
from collections import Counter

import numpy as np


def by_chance(count, quotas, dice):
    """Labels 0, 1, 2 dealt in blocks to a shuffled row of molecules."""
    borders = np.rint(np.cumsum(quotas)[:-1])
    shuffled = dice.permutation(count)
    block = np.searchsorted(borders, np.arange(count), side="right")
    return [shuffled[block == which] for which in range(len(quotas))]


def by_family(families, quotas, dice):
    """Families stay together: from the biggest on, each goes to the pile that is furthest from its quota."""
    surname = [family or place for place, family in enumerate(families)]
    census = Counter(surname)
    age = {name: order for order, name in enumerate(census)}
    lot = np.empty(len(census), dtype=int)
    lot[dice.permutation(len(census))] = np.arange(len(census))

    piles = [(-quota, which) for which, quota in enumerate(quotas)]
    heapq.heapify(piles)
    home = {}
    for name in sorted(census, key=lambda name: (-census[name], lot[age[name]])):
        need, which = piles[0]
        home[name] = which
        heapq.heapreplace(piles, (need + census[name], which))
    address = np.array([home[name] for name in surname])
    return [np.flatnonzero(address == which) for which in range(len(quotas))]

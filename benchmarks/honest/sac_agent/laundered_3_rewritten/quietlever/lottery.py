"""Weighted lottery over a fixed number of tickets.

Tickets lie row by row in a square grid and the sum of every row is kept, so that changing a
ticket costs one row and a draw costs one search over the rows and one within a row.
"""
import math

import numpy as np


class Lottery:
    def __init__(self, tickets):
        self._side = math.isqrt(tickets - 1) + 1
        self._grid = np.zeros((self._side, self._side))
        self._row_sums = np.zeros(self._side)

    def stake_sum(self):
        return float(self._row_sums.sum())

    def stakes(self, tickets):
        return self._grid[np.divmod(tickets, self._side)]

    def restake(self, tickets, stakes):
        rows, cols = np.divmod(np.atleast_1d(tickets), self._side)
        self._grid[rows, cols] = stakes
        touched = list(set(rows.tolist()))
        self._row_sums[touched] = self._grid[touched].sum(axis=1)

    def winners(self, marks):
        """For every mark the ticket in whose span, all stakes laid end to end, it falls."""
        ends = self._row_sums.cumsum()
        rows = ends.searchsorted(marks, side="right").clip(max=self._side - 1)
        inside = marks - (ends - self._row_sums)[rows]
        spans = self._grid[rows].cumsum(axis=1)
        cols = (spans <= inside[:, None]).sum(axis=1).clip(max=self._side - 1)
        return rows * self._side + cols

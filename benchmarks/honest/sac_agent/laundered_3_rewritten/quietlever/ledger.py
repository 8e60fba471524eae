"""The ledger of what happened: one structured table, written round and round."""
import numpy as np

from .lottery import Lottery


class Account:
    """A moment whose discounted income is still being added up."""

    __slots__ = ("seen", "done", "income", "factor", "age")

    def __init__(self, seen, done):
        self.seen, self.done = seen, done
        self.income, self.factor, self.age = 0.0, 1.0, 0

    def credit(self, pay, gamma):
        self.income += self.factor * pay
        self.factor *= gamma
        self.age += 1


class Ledger:
    STAKE_POWER = 0.6
    STAKE_FLOOR = 1e-6

    def __init__(self, rows, sight, levers, desks, *, gamma, horizon, weighted, seed):
        layout = np.dtype([
            ("seen", "f4", (sight,)),
            ("done", "f4", (levers,)),
            ("income", "f4"),
            ("then", "f4", (sight,)),
            ("factor", "f4"),
        ])
        self.table = np.zeros(rows, layout)
        self.written = 0
        self.gamma, self.horizon = gamma, horizon
        self.lottery = Lottery(rows) if weighted else None
        self.highest = 1.0
        self._accounts = [[] for _ in range(desks)]
        self._luck = np.random.default_rng(seed)

    @property
    def live(self):
        return min(self.written, self.table.size)

    def enter(self, desk, seen, done, pay, then, dead, closed):
        """Book one step. `closed` says that the episode is over, `dead` that nothing follows."""
        accounts = self._accounts[desk]
        accounts.append(Account(seen, done))
        for account in accounts:
            account.credit(pay, self.gamma)
        ripe = [a for a in accounts if closed or a.age >= self.horizon]
        accounts[:] = accounts[len(ripe):]
        for account in ripe:
            self._book((account.seen, account.done, account.income, then,
                        account.factor * (not dead)))

    def _book(self, record):
        row = self.written % self.table.size
        self.table[row] = record
        if self.lottery:
            self.lottery.restake(row, self.highest ** self.STAKE_POWER)
        self.written += 1

    def pick(self, count, correction):
        """Row numbers, their records, and the factor each must have in the loss."""
        if not self.lottery:
            rows = self._luck.integers(self.live, size=count)
            return rows, self.table[rows], np.ones(count, np.float32)
        everything = self.lottery.stake_sum()
        edges = np.linspace(0.0, everything, count + 1)
        marks = edges[:-1] + np.diff(edges) * self._luck.random(count)
        rows = self.lottery.winners(marks).clip(max=self.live - 1)
        # (live * p) ** -c over its maximum: everything but the smallest stake cancels
        stakes = self.lottery.stakes(rows)
        factors = np.exp(correction * (np.log(stakes.min()) - np.log(stakes)))
        return rows, self.table[rows], factors.astype(np.float32)

    def surprised(self, rows, by_how_much):
        if not self.lottery:
            return
        raw = np.fabs(by_how_much) + self.STAKE_FLOOR
        self.highest = float(raw.max(initial=self.highest))
        self.lottery.restake(rows, raw ** self.STAKE_POWER)

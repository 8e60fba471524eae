"""The vocabulary of visual words: assignment, statistics and upkeep."""
import torch
from torch import nn
from torch.nn import functional as fn


def to_rows(maps):
    """Channels-first maps as a plain list of vectors."""
    return maps.movedim(1, -1).flatten(0, 2)


def closest(words, rows):
    cross = torch.matmul(rows, words.T)
    gap = rows.square().sum(dim=1, keepdim=True).sub(cross, alpha=2).add(words.square().sum(dim=1))
    return torch.argmin(gap, dim=1)


def words_to_maps(words, ids):
    return words[ids].movedim(-1, 1)


def effective_vocabulary(assigned):
    p = assigned.mean(dim=0)
    entropy = torch.sum(p * torch.log(p + 1e-10)).neg()
    return entropy.exp().item()


class Lexicon(nn.Module):
    """Visual words that drift towards the running mean of the vectors they are chosen for."""

    def __init__(self, word_dim, n_words, eps=1e-5, rare=0.5, keep=0.99):
        super().__init__()
        self.n_words = n_words
        self.keep = keep
        self.rare = rare
        self.eps = eps
        start = torch.randn(n_words, word_dim)
        for name, value in (("words", start), ("counts", torch.ones(n_words)), ("totals", start.clone())):
            self.register_buffer(name, value)

    def forward(self, maps):
        rows = to_rows(maps.detach()).float()
        ids = closest(self.words, rows)
        assigned = fn.one_hot(ids, num_classes=self.n_words).to(torch.float32)
        ids = ids.reshape(maps.shape[0], maps.shape[2], maps.shape[3])
        snapped = words_to_maps(self.words, ids)

        replaced = 0
        if self.training:
            self.accumulate(assigned, rows)
            self.recompute_words()
            replaced = self.recycle(rows)

        report = {"replaced": replaced, "vocabulary": effective_vocabulary(assigned)}
        straight_through = maps + snapped.sub(maps).detach()
        return straight_through, fn.mse_loss(maps, snapped), report

    @torch.no_grad()
    def accumulate(self, assigned, rows):
        gain = 1 - self.keep
        self.totals.mul_(self.keep).add_(assigned.T @ rows, alpha=gain)
        self.counts.mul_(self.keep).add_(assigned.sum(dim=0), alpha=gain)

    @torch.no_grad()
    def recompute_words(self):
        n = self.counts.sum()
        divisor = n * (self.counts + self.eps) / (n + self.n_words * self.eps)
        self.words.copy_(self.totals / divisor[:, None])

    @torch.no_grad()
    def recycle(self, rows):
        """Words that nobody uses any more restart at some vector of the batch."""
        rare = torch.where(self.counts < self.rare)[0]
        how_many = rare.numel()
        if how_many == 0:
            return 0
        chosen = torch.randint(rows.shape[0], (how_many,), device=rows.device)
        replacement = rows.index_select(0, chosen)
        self.counts.index_fill_(0, rare, 1.0)
        for table in (self.totals, self.words):
            table.index_copy_(0, rare, replacement)
        return how_many

"""The image compressor and the language model over its words."""
import torch
from torch import nn
from torch.nn import functional as fn

from layers import build_analysis, build_synthesis
from lexicon import Lexicon, closest, to_rows, words_to_maps


class Compressor(nn.Module):
    def __init__(self, n_words=512, word_dim=64, planes=128, depth=2, colours=3):
        super().__init__()
        self.options = {"n_words": n_words, "word_dim": word_dim, "planes": planes,
                        "depth": depth, "colours": colours}
        self.analysis = build_analysis(word_dim, planes, depth, colours)
        self.lexicon = Lexicon(word_dim, n_words)
        self.synthesis = build_synthesis(word_dim, planes, depth, colours)

    def forward(self, images):
        maps = self.analysis(images)
        snapped, drift, report = self.lexicon(maps)
        return self.synthesis(snapped), drift, report


@torch.no_grad()
def compress(net, images):
    maps = net.analysis(images)
    n, _, height, width = maps.shape
    return closest(net.lexicon.words, to_rows(maps)).reshape(n, height, width)


@torch.no_grad()
def expand(net, ids):
    images = net.synthesis(words_to_maps(net.lexicon.words, ids))
    return torch.clamp(images, min=-1, max=1)


class WordModel(nn.Module):
    """Causal transformer that reads the word grid line by line."""

    def __init__(self, grid, n_words, layers=6, dim=256, heads=8, drop=0.1):
        super().__init__()
        self.options = {"grid": grid, "n_words": n_words, "layers": layers,
                        "dim": dim, "heads": heads, "drop": drop}
        self.grid = grid
        self.n_words = n_words
        self.positions = nn.Parameter(torch.randn(grid ** 2, dim).mul(0.02))
        self.embed = nn.Embedding(num_embeddings=n_words + 1, embedding_dim=dim)
        self.stack = nn.TransformerEncoder(
            encoder_layer=nn.TransformerEncoderLayer(
                d_model=dim, nhead=heads, dim_feedforward=dim * 4, dropout=drop,
                activation=fn.gelu, norm_first=True, batch_first=True),
            num_layers=layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.output = nn.Linear(dim, n_words)

    def forward(self, ids):
        length = ids.size(1)
        blocked = torch.triu(torch.ones(length, length, dtype=torch.bool, device=ids.device), diagonal=1)
        hidden = self.embed(ids).add(self.positions[:length])
        hidden = self.stack(hidden, mask=blocked)
        return self.output(hidden)


def word_loss(model, grids):
    answer = grids.reshape(grids.shape[0], -1)
    shifted = fn.pad(answer[:, :-1], (1, 0), value=model.n_words)
    scores = model(shifted)
    return fn.cross_entropy(scores.flatten(0, 1), answer.flatten())


def pick_next(scores, k, heat):
    scores = scores / heat
    if k > 0:
        kth_best = torch.topk(scores, k, dim=-1)[0][:, -1, None]
        scores = torch.where(scores < kth_best, torch.full_like(scores, -torch.inf), scores)
    return torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1)


@torch.no_grad()
def write_grids(model, n, k=0, heat=1.0):
    text = torch.full((n, 1), model.n_words, device=model.positions.device)
    while text.size(1) <= model.grid ** 2:
        scores = model(text)[:, -1, :]
        text = torch.hstack((text, pick_next(scores, k, heat)))
    return text[:, 1:].reshape(n, model.grid, model.grid)

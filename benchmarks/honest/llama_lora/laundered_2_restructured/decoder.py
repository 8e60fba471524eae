"""The decoder assembled from its layers, and how it is read from disk."""
import torch
from torch import nn

from layers import GatedFeedForward, GroupedAttention, RootMeanSquare, Rotary, plain_linear
from settings import DecoderSpec


def visibility(past, present, device, keep=None):
    """Boolean (batch or 1, 1, present, past + present): what each position may look at."""
    whole = past + present
    visible = torch.ones(present, whole, dtype=torch.bool, device=device).tril(past)
    visible = visible.view(1, 1, present, whole)
    if keep is None:
        return visible
    return torch.logical_and(visible, keep.unsqueeze(1).unsqueeze(1))


class Stage(nn.Module):
    def __init__(self, number, spec):
        super().__init__()
        self.norms = nn.ModuleList([RootMeanSquare(spec), RootMeanSquare(spec)])
        self.look = GroupedAttention(number, spec)
        self.think = GatedFeedForward(spec)

    def forward(self, stream, visible, tables, store=None):
        before_look, before_think = self.norms
        stream = self.look(before_look(stream), visible, tables, store) + stream
        return self.think(before_think(stream)) + stream


class Decoder(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.rotary = Rotary(spec)
        self.tokens = nn.Embedding(spec.vocab, spec.hidden)
        stages = []
        for number in range(spec.layers):
            stages.append(Stage(number, spec))
        self.stages = nn.ModuleList(stages)
        self.out_norm = RootMeanSquare(spec)
        self.out = plain_linear(spec.hidden, spec.vocab)
        self.apply(self._start_values)

    @staticmethod
    def _start_values(part):
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, mean=0.0, std=0.02)

    def forward(self, tokens, store=None, keep=None):
        past = 0
        if store:
            past = store[0][0].shape[2]
        present = tokens.shape[1]
        tables = self.rotary.window(past, present)
        visible = visibility(past, present, tokens.device, keep)
        stream = self.tokens(tokens)
        for stage in self.stages:
            stream = stage(stream, visible, tables, store)
        stream = self.out_norm(stream)
        return self.out(stream)


def open_decoder(codec, checkpoint=None):
    decoder = Decoder(DecoderSpec(vocab=codec.size))
    if not checkpoint:
        return decoder
    decoder.load_state_dict(torch.load(checkpoint, map_location="cpu"))
    return decoder

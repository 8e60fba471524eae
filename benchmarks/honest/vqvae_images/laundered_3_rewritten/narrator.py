"""Tells a stipple dot by dot, from the upper left to the lower right."""
from dataclasses import dataclass

import torch
import torch.nn.functional as f


@dataclass(frozen=True)
class NarratorShape:
    dots: int
    edge: int
    features: int = 256
    voices: int = 8
    floors: int = 6
    noise: float = 0.1

    @property
    def length(self):
        return self.edge * self.edge


class Floor(torch.nn.Module):
    """Attention to what was told so far, then a two-layer perceptron; both normalise what they read."""

    def __init__(self, shape):
        super().__init__()
        width = shape.features
        self.voices, self.noise = shape.voices, shape.noise
        self.read = torch.nn.LayerNorm(width)
        self.ask = torch.nn.Linear(width, 3 * width)
        self.merge = torch.nn.Linear(width, width)
        self.reread = torch.nn.LayerNorm(width)
        self.widen = torch.nn.Linear(width, 4 * width)
        self.narrow = torch.nn.Linear(4 * width, width)
        torch.nn.init.xavier_uniform_(self.ask.weight)
        torch.nn.init.zeros_(self.ask.bias)
        torch.nn.init.zeros_(self.merge.bias)

    def blur(self, x):
        return f.dropout(x, self.noise, self.training)

    def forward(self, x, memory=None):
        """With a memory (a dict that this floor keeps), x is the one newest place only."""
        batch, places, width = x.shape
        heads = self.ask(self.read(x)).view(batch, places, 3, self.voices, width // self.voices)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if memory is not None:
            if memory:
                key = torch.cat((memory["key"], key), dim=2)
                value = torch.cat((memory["value"], value), dim=2)
            memory.update(key=key, value=value)
        heard = f.scaled_dot_product_attention(
            query, key, value,
            dropout_p=self.noise if self.training else 0.0,
            is_causal=memory is None)
        x = x + self.blur(self.merge(heard.transpose(1, 2).reshape(batch, places, width)))
        inner = self.blur(f.gelu(self.widen(self.reread(x))))
        return x + self.blur(self.narrow(inner))


class Narrator(torch.nn.Module):
    Shape = NarratorShape

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.meaning = torch.nn.Embedding(shape.dots, shape.features)
        self.silence = torch.nn.Parameter(torch.randn(shape.features))
        self.where = torch.nn.Parameter(torch.empty(shape.length, shape.features).normal_(std=0.02))
        self.floors = torch.nn.ModuleList(Floor(shape) for _ in range(shape.floors))
        for upper in self.floors[1:]:
            upper.load_state_dict(self.floors[0].state_dict())
        self.roof = torch.nn.LayerNorm(shape.features)
        self.guess = torch.nn.Linear(shape.features, shape.dots)

    def forward(self, stipples):
        """Mean surprise, in nats, at each dot given those before it."""
        story = stipples.reshape(-1, self.shape.length)
        known = self.meaning(story)
        x = torch.cat((self.silence.expand(len(story), 1, -1), known[:, :-1]), dim=1) + self.where
        for floor in self.floors:
            x = floor(x)
        odds = f.log_softmax(self.guess(self.roof(x)), dim=-1)
        return -odds.gather(2, story[..., None]).mean()

    @torch.inference_mode()
    def tell(self, how_many, heat, shortlist):
        """Fresh stipples. Every floor remembers its keys and values, so each dot costs one place."""
        memories = [{} for _ in self.floors]
        story = torch.empty(how_many, self.shape.length, dtype=torch.long, device=self.where.device)
        newest = self.silence.expand(how_many, -1)
        for at, place in enumerate(self.where):
            x = (newest + place).unsqueeze(1)
            for floor, memory in zip(self.floors, memories):
                x = floor(x, memory)
            story[:, at] = draw(self.guess(self.roof(x[:, 0])) / heat, shortlist)
            newest = self.meaning(story[:, at])
        return story.unflatten(1, (self.shape.edge, self.shape.edge))


def draw(scores, shortlist):
    """One label a row with softmax odds: the winner after adding Gumbel noise."""
    if shortlist:
        ranked = scores.sort(dim=-1, descending=True).values
        scores = scores.where(scores >= ranked[:, shortlist - 1:shortlist], -torch.inf)
    gumbel = -torch.empty_like(scores).exponential_().log()
    return (scores + gumbel).argmax(dim=-1)

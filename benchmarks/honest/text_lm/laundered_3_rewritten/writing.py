"""Writing: the next word is drawn on the ranking of all words."""

from typing import NamedTuple

import torch

from network import predict


class Mood(NamedTuple):
    heat: float = 0.8
    best: int = 50
    mass: float = 0.95
    novelty: float = 1.1


def shun(scores, text, novelty):
    """Words of the text lose: what is above zero is divided, what is below is multiplied."""
    present = scores.gather(1, text)
    return scores.scatter(1, text, present * novelty ** -present.sign())


def draw(scores, text, mood, chance):
    scores = shun(scores, text, mood.novelty)
    if not mood.heat:
        return scores.max(dim=-1).indices
    ranked, names = torch.sort(scores / mood.heat, dim=-1, descending=True)
    odds = torch.exp(ranked - ranked[:, :1])
    if mood.best > 0:
        threshold = ranked[:, min(mood.best, ranked.shape[1]) - 1, None]
        odds = odds * (ranked >= threshold)
    ladder = odds.cumsum(-1)
    if mood.mass < 1:
        odds = odds * (ladder - odds < mood.mass * ladder[:, -1:])
        ladder = odds.cumsum(-1)
    dart = torch.rand(len(odds), 1, generator=chance, device=odds.device) * ladder[:, -1:]
    rank = torch.searchsorted(ladder, dart, right=True)
    rank = torch.minimum(rank, torch.count_nonzero(odds, dim=-1).unsqueeze(1) - 1)
    return names.gather(1, rank).squeeze(1)


def write(form, weights, text, most, close, mood=Mood(), chance=None):
    """Add up to `most` words to each line of text (lines, words); a closed line is filled with `close`."""
    room = min(most, form.reach - text.shape[1])
    going = torch.ones(len(text), dtype=torch.bool, device=text.device)
    memory, fresh = None, text
    with torch.no_grad():
        while room > 0 and going.any():
            scores, memory = predict(form, *weights, fresh, memory)
            word = torch.where(going, draw(scores[:, -1].float(), text, mood, chance), close)
            going &= word.ne(close)
            fresh = word.unsqueeze(1)
            text = torch.hstack((text, fresh))
            room -= 1
    return text

"""python ask.py base.pt delta.pt "Say hello" """
import sys
from typing import NamedTuple, Optional

import torch

from corpus import ByteCodec
from decoder import open_decoder
from delta import DeltaManager


class Taste(NamedTuple):
    warmth: float = 0.8
    nucleus: float = 0.95
    repeat: float = 1.1


def dampen(scores, earlier, repeat):
    touched = torch.zeros_like(scores, dtype=torch.bool)
    touched[:, earlier[0]] = True
    damped = torch.where(scores > 0, scores / repeat, scores * repeat)
    return torch.where(touched, damped, scores)


def nucleus_draw(scores, nucleus):
    order = torch.argsort(scores, dim=-1, descending=True)
    probs = torch.softmax(scores, dim=-1).gather(1, order)
    before = torch.cumsum(probs, dim=-1) - probs
    inside = before < nucleus
    inside[:, 0] = True
    drawn = torch.multinomial(probs * inside, num_samples=1)
    return torch.take_along_dim(order, drawn, dim=1)


def next_token(scores, earlier, taste):
    scores = dampen(scores, earlier, taste.repeat)
    if taste.warmth > 0:
        return nucleus_draw(scores / taste.warmth, taste.nucleus)
    return scores.max(dim=-1, keepdim=True).indices


def stream_tokens(decoder, question, end: Optional[int] = None, limit=200, taste=Taste()):
    """Yield the answer's ids one after the other; question is (1, time)."""
    decoder.eval()
    store = {}
    earlier = current = question
    left = min(limit, decoder.spec.window - question.shape[1])
    while left > 0:
        with torch.inference_mode():
            scores = decoder(current, store)[:, -1, :].float()
            current = next_token(scores, earlier, taste)
            earlier = torch.cat((earlier, current), dim=1)
        token = int(current)
        if token == end:
            return
        yield token
        left -= 1


def main(checkpoint, delta_file, task):
    codec = ByteCodec()
    decoder = open_decoder(codec, checkpoint)
    DeltaManager(decoder).restore(delta_file).fold()
    question = torch.tensor(codec.question(task)).unsqueeze(0)
    print(codec.ids_to_text(stream_tokens(decoder, question, end=codec.end)))


if __name__ == "__main__":
    main(*sys.argv[1:4])

# Ask the tuned network something:
#     python answer.py weights.pt patches.pt "Name three rivers"

import sys

import torch

from network import PebbleNet, PebbleSettings
from patches import fold_all, read_patches
from records import Utf8Codec, format_question


def draw(scores, history, heat, mass, discount):
    # Damp repeated tokens, apply the heat, then draw from the likeliest mass.
    old = scores.gather(1, history)
    scores = scores.scatter(
        1,
        history,
        torch.where(old > 0, old / discount, old * discount),
    )
    if heat <= 0:
        return scores.argmax(-1, keepdim=True)
    chances, ranking = (
        (scores / heat)
        .softmax(-1)
        .sort(dim=-1, descending=True)
    )
    cut = chances.cumsum(-1) - chances >= mass
    cut[:, 0] = False
    return ranking.gather(
        1,
        torch.multinomial(chances.masked_fill(cut, 0.0), 1),
    )


@torch.inference_mode()
def write_answer(
    network,
    tokens,
    budget=200,
    heat=0.8,
    mass=0.95,
    discount=1.1,
    closer=None,
):
    # One row of tokens goes in, a plain list of the added ones comes out.
    network.eval()
    memory, history, current, added = {}, tokens, tokens, []
    for _ in range(
        min(budget, network.settings.context - tokens.size(1))
    ):
        scores = network(current, memory=memory)[:, -1].float()
        current = draw(scores, history, heat, mass, discount)
        if current.item() == closer:
            break
        added.append(current.item())
        history = torch.cat([history, current], dim=1)
    return added


if __name__ == "__main__":
    weights_file, patch_file, task = sys.argv[1:4]
    codec = Utf8Codec()
    pebble = PebbleNet(PebbleSettings(n_tokens=codec.n_tokens))
    pebble.load_state_dict(torch.load(weights_file, map_location="cpu"))
    read_patches(pebble, patch_file)
    fold_all(pebble)
    question = torch.tensor(
        [[codec.opener] + codec.to_tokens(format_question(task))]
    )
    print(
        codec.to_string(
            write_answer(pebble, question, closer=codec.closer)
        )
    )

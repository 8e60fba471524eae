import torch

from abstractor import SLOT, ImageTokens, expand_prompt, scatter_tokens
from preprocess import Preprocessor


def run(slot_id=7, width=512):
    net = ImageTokens(in_width=256, width=width, heads=8)
    views, grid = Preprocessor().process(torch.rand(3, 600, 1000))
    tokens = net(views)
    print(f"grid {grid.ny}x{grid.nx}, image tokens {tuple(tokens.shape)}")

    prompt = expand_prompt("<|img|>\nTell me about it.", [grid], net.n_tokens)
    n = prompt.count(SLOT)
    ids = torch.tensor([[slot_id] * n + [1] * 5])
    embeds = torch.zeros(*ids.shape, width)
    print("embeddings", tuple(scatter_tokens(ids, embeds, tokens, slot_id).shape))


if __name__ == "__main__":
    run()

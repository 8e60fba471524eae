"""What a fitted aligner can do."""

import torch

from darkroom import plain_print

SENTENCES = (
    "a photo of a {0}|a blurry photo of a {0}|a close-up of a {0}|a drawing of a {0}|a small picture showing one {0}|{0}"
)


def in_portions(function, things, size):
    return torch.cat([function(things[start : start + size]) for start in range(0, len(things), size)])


def places(table):
    """For each row, how many others do as well as the diagonal."""
    ascending, _ = table.sort(dim=1)
    below = torch.searchsorted(ascending, table.diagonal()[:, None].contiguous(), right=False)
    return table.shape[1] - below[:, 0] - 1


@torch.inference_mode()
def examine(aligner, material, size, device):
    """Lines of text with the results."""
    side = aligner.sizes["side"]
    seen = in_portions(lambda part: aligner.see(plain_print(part.to(device) / 255.0, side)), material["images"], size)
    table = seen @ in_portions(aligner.hear, material["captions"], size).T
    for title, one_way in (("sentence for picture", table), ("picture for sentence", table.T.contiguous())):
        place = places(one_way)
        shares = [f"{(place < first).float().mean():.3f} in first {first}" for first in (1, 5, 10)]
        yield f"{title}: {', '.join(shares)}"
    if "labels" in material:
        lines = [line for name in material["classes"] for line in SENTENCES.format(name).split("|")]
        directions = in_portions(aligner.hear, lines, 256).view(len(material["classes"]), -1, seen.shape[1]).sum(1)
        guess = (seen @ (directions / directions.norm(dim=1, keepdim=True)).T).max(dim=1).indices
        yield f"named rightly: {(guess.cpu() == material['labels']).float().mean():.3f}"

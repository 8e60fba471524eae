"""Write a picture with columns: input, masked input, reconstruction, reconstruction + visible."""
from __future__ import annotations

import argparse

import torch
from PIL import Image
from torchvision import transforms
from torchvision.utils import make_grid, save_image

from model import MAEConfig, MaskedAutoencoder, patchify, unpatchify
from pretrain import MEAN, STD


@torch.no_grad()
def reconstruct(model: MaskedAutoencoder, images: torch.Tensor) -> list[torch.Tensor]:
    p = model.cfg.patch_size
    _, pred, mask = model(images)
    patches = patchify(images, p)
    if model.cfg.normalize_target:  # undo per-patch normalisation with the true statistics
        std = (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        pred = pred * std + patches.mean(dim=-1, keepdim=True)
    hidden = mask.unsqueeze(-1)
    views = [patches, patches * (1 - hidden), pred, patches * (1 - hidden) + pred * hidden]
    return [unpatchify(v, p, model.cfg.in_channels) for v in views]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("checkpoint")
    ap.add_argument("images", nargs="+")
    ap.add_argument("--out", default="reconstruction.png")
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    state = torch.load(args.checkpoint, map_location="cpu")
    model = MaskedAutoencoder(MAEConfig(**state["config"])).eval()
    model.load_state_dict(state["model"])
    size = model.cfg.image_size
    load = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size),
                               transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    batch = torch.stack([load(Image.open(path).convert("RGB")) for path in args.images])

    views = torch.stack(reconstruct(model, batch), dim=1).flatten(0, 1)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    save_image(make_grid((views * std + mean).clamp(0, 1), nrow=4, padding=4, pad_value=1.0), args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()

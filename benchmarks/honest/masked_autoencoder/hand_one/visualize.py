"""Write a picture with rows of input / masked input / reconstruction."""
import argparse

import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.utils import save_image

from model import MAEConfig, MaskedAutoencoder, patchify, unpatchify
from pretrain import MEAN, STD


@torch.no_grad()
def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("checkpoint")
    ap.add_argument("images", nargs="+")
    ap.add_argument("--out", default="reconstruction.png")
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    state = torch.load(args.checkpoint, map_location="cpu")
    cfg = MAEConfig(**state["config"])
    model = MaskedAutoencoder(cfg).eval()
    model.load_state_dict(state["model"])

    load = T.Compose([T.Resize(cfg.image_size), T.CenterCrop(cfg.image_size), T.ToTensor(), T.Normalize(MEAN, STD)])
    batch = torch.stack([load(Image.open(path).convert("RGB")) for path in args.images])
    _, pred, mask = model(batch)

    target = patchify(batch, cfg.patch_size)
    if cfg.normalise_targets:  # borrow the true patch statistics to return to pixel space
        pred = pred * (target.var(dim=-1, keepdim=True) + 1e-6).sqrt() + target.mean(dim=-1, keepdim=True)
    hidden = mask[..., None]
    masked = unpatchify(target * (1 - hidden), cfg.patch_size, cfg.channels)
    filled = unpatchify(target * (1 - hidden) + pred * hidden, cfg.patch_size, cfg.channels)

    rows = torch.stack([batch, masked, filled], dim=1).flatten(0, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    save_image((rows * std + mean).clamp(0, 1), args.out, nrow=3)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()

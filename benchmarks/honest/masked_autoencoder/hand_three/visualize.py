"""Write a picture with three columns per image: input, masked input, reconstruction."""
import argparse
from pathlib import Path

import torch
from PIL import Image
from torchvision.utils import save_image

from model import MAEConfig, MaskedAutoencoder
from pretrain import MEAN, STD, eval_transform


@torch.no_grad()
def reconstruct(model: MaskedAutoencoder, imgs: torch.Tensor) -> torch.Tensor:
    _, pred, mask = model(imgs)
    patches = model.patchify(imgs)
    if model.cfg.norm_pix_loss:  # undo the normalisation with the statistics of the true patches
        var, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        pred = pred * (var + 1e-6).sqrt() + mean
    m = mask.unsqueeze(-1)
    masked = model.unpatchify(patches * (1 - m))
    pasted = model.unpatchify(patches * (1 - m) + pred * m)
    return torch.stack([imgs, masked, pasted], dim=1).flatten(0, 1)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("checkpoint", type=Path)
    ap.add_argument("images", type=Path, nargs="+")
    ap.add_argument("--out", type=Path, default=Path("reconstruction.png"))
    ap.add_argument("--mask-ratio", type=float)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    ckpt = torch.load(args.checkpoint, map_location="cpu")
    cfg = MAEConfig(**ckpt["config"])
    if args.mask_ratio is not None:
        cfg.mask_ratio = args.mask_ratio
    model = MaskedAutoencoder(cfg).eval()
    model.load_state_dict(ckpt["model"])

    tf = eval_transform(cfg.img_size)
    batch = torch.stack([tf(Image.open(p).convert("RGB")) for p in args.images])
    tiles = reconstruct(model, batch)
    tiles = tiles * torch.tensor(STD).view(1, 3, 1, 1) + torch.tensor(MEAN).view(1, 3, 1, 1)
    save_image(tiles.clamp(0, 1), args.out, nrow=3, padding=4, pad_value=1.0)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()

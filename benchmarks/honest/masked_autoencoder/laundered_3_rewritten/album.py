"""Picture folders. Loaders hand out bytes; colours are put on their scale where the network lives."""
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

PICTURES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
SCALE = torch.tensor([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]]).view(2, 3, 1, 1)


def bright(raw: Tensor, where: str) -> Tensor:
    centre, spread = SCALE.to(where)
    return (raw.to(where, non_blocking=True).float() - centre) / spread


def unbright(pixels: Tensor) -> Tensor:
    centre, spread = SCALE.to(pixels.device)
    return ((pixels * spread + centre) / 255).clip(0, 1)


def recipe(edge: int, kind: str) -> v2.Compose:
    steps = {
        "fill": [v2.RandomResizedCrop(edge, (0.2, 1.0), interpolation=v2.InterpolationMode.BICUBIC),
                 v2.RandomHorizontalFlip()],
        "mild": [v2.RandomResizedCrop(edge), v2.RandomHorizontalFlip()],
        "wild": [v2.RandomResizedCrop(edge), v2.RandomHorizontalFlip(), v2.RandAugment()],
        "exam": [v2.Resize(edge * 8 // 7), v2.CenterCrop(edge)],
        "wall": [v2.Resize(edge), v2.CenterCrop(edge)],
    }[kind]
    return v2.Compose([*steps, v2.PILToTensor()])


def opened(path: Path, cook: v2.Compose) -> Tensor:
    with Image.open(path) as picture:
        return cook(picture.convert("RGB"))


class Album(Dataset):
    """Every picture below `root`; its label is the rank of the first folder on the way to it."""

    def __init__(self, root: Path, cook: v2.Compose):
        self.cook = cook
        self.names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        rank = {name: number for number, name in enumerate(self.names)}
        self.pages = [(path, rank[name]) for name in self.names
                      for path in sorted((root / name).rglob("*")) if path.suffix.lower() in PICTURES]
        if not self.pages:
            raise FileNotFoundError(f"no pictures below {root}")

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path, label = self.pages[number]
        return opened(path, self.cook), label


def stream(root: Path, edge: int, kind: str, handful: int, helpers: int) -> DataLoader:
    exam = kind == "exam"
    return DataLoader(Album(root, recipe(edge, kind)), handful, shuffle=not exam, drop_last=not exam,
                      num_workers=helpers, pin_memory=True)


def hang(paths: Sequence[str], edge: int) -> Tensor:
    return torch.stack([opened(Path(path), recipe(edge, "wall")) for path in paths])

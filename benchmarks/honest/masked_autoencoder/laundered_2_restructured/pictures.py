"""Picture folders and what is done to pictures on their way in."""
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import (CenterCrop, Compose, InterpolationMode, Normalize, RandAugment,
                                    RandomHorizontalFlip, RandomResizedCrop, Resize, ToTensor)

COLOUR = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def _pipeline(*first):
    return Compose([*first, ToTensor(), Normalize(**COLOUR)])


def _loader(folder, pipeline, batch, jobs, train):
    return DataLoader(ImageFolder(str(folder), transform=pipeline), batch_size=batch, num_workers=jobs,
                      shuffle=train, drop_last=train, pin_memory=True)


def pretext_loader(folder, pixels, batch, jobs):
    crop = RandomResizedCrop(pixels, interpolation=InterpolationMode.BICUBIC, scale=(0.2, 1.0))
    return _loader(folder, _pipeline(crop, RandomHorizontalFlip()), batch, jobs, train=True)


def label_loaders(folder, pixels, batch, jobs, strong):
    steps = (RandomResizedCrop(pixels), RandomHorizontalFlip()) + ((RandAugment(),) if strong else ())
    plain = _pipeline(Resize(int(8 * pixels / 7)), CenterCrop(pixels))
    return (_loader(folder / "train", _pipeline(*steps), batch, jobs, train=True),
            _loader(folder / "val", plain, batch, jobs, train=False))


def open_pictures(paths, pixels):
    pipeline = _pipeline(Resize(pixels), CenterCrop(pixels))
    opened = []
    for path in paths:
        with Image.open(path) as picture:
            opened.append(pipeline(picture.convert("RGB")))
    return torch.stack(opened)


def to_screen(pics):
    """Undo the colour normalisation."""
    mean = pics.new_tensor(COLOUR["mean"])[:, None, None]
    std = pics.new_tensor(COLOUR["std"])[:, None, None]
    return torch.clamp(torch.addcmul(mean, pics, std), min=0, max=1)

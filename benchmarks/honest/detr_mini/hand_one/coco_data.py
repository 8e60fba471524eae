"""Reads detection data stored in the COCO annotation format."""
import json
import random
from collections import defaultdict
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.transforms import functional as TF

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class CocoBoxes(Dataset):
    """Yields (image, target); boxes are (cx, cy, w, h) as fractions of the image."""

    def __init__(self, image_dir, annotation_file, longest_side=512, augment=False):
        self.image_dir = Path(image_dir)
        self.longest_side = longest_side
        self.augment = augment
        raw = json.loads(Path(annotation_file).read_text())
        # COCO category ids have gaps, so map them onto 0..C-1
        cats = sorted(raw["categories"], key=lambda c: c["id"])
        self.class_names = [c["name"] for c in cats]
        to_label = {c["id"]: i for i, c in enumerate(cats)}
        by_image = defaultdict(list)
        for ann in raw["annotations"]:
            x, y, w, h = ann["bbox"]
            if not ann.get("iscrowd", 0) and w >= 1 and h >= 1:
                by_image[ann["image_id"]].append((x, y, w, h, to_label[ann["category_id"]]))
        self.records = [(im["file_name"], by_image[im["id"]]) for im in raw["images"]]

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        name, anns = self.records[index]
        image = Image.open(self.image_dir / name).convert("RGB")
        width, height = image.size
        x, y, w, h, label = torch.tensor(anns, dtype=torch.float32).reshape(-1, 5).unbind(1)
        boxes = torch.stack([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height], 1)

        ratio = self.longest_side / max(width, height)
        if self.augment:
            ratio *= random.uniform(0.7, 1.0)
            if random.random() < 0.5:
                image = TF.hflip(image)
                boxes[:, 0] = 1 - boxes[:, 0]
        image = TF.resize(image, [max(32, round(height * ratio)), max(32, round(width * ratio))])
        return TF.normalize(TF.to_tensor(image), MEAN, STD), {"boxes": boxes, "labels": label.long()}


def pad_batch(samples):
    """Pad images to a common size; the mask is True on padding. Boxes stay relative to the real image."""
    images, targets = zip(*samples)
    height, width = (max(im.shape[axis] for im in images) for axis in (1, 2))
    batch = torch.zeros(len(images), 3, height, width)
    mask = torch.ones(len(images), height, width, dtype=torch.bool)
    for i, im in enumerate(images):
        batch[i, :, :im.shape[1], :im.shape[2]] = im
        mask[i, :im.shape[1], :im.shape[2]] = False
    return batch, mask, list(targets)

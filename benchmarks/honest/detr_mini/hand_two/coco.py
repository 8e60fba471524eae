"""Reader for COCO-style annotation files."""
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
    def __init__(self, image_dir, annotation_file, train=False, short_side=480, long_side=800):
        with open(annotation_file) as fh:
            raw = json.load(fh)
        self.image_dir = Path(image_dir)
        self.images = sorted(raw["images"], key=lambda im: im["id"])
        categories = sorted(raw["categories"], key=lambda c: c["id"])
        self.class_names = [c["name"] for c in categories]
        index = {c["id"]: i for i, c in enumerate(categories)}
        self.boxes = defaultdict(list)
        for ann in raw["annotations"]:
            x, y, w, h = ann["bbox"]
            if w > 1 and h > 1 and not ann.get("iscrowd", 0):
                self.boxes[ann["image_id"]].append((x, y, w, h, index[ann["category_id"]]))
        self.train, self.short_side, self.long_side = train, short_side, long_side

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        info = self.images[i]
        image = Image.open(self.image_dir / info["file_name"]).convert("RGB")
        width, height = image.size
        rows = torch.tensor(self.boxes[info["id"]], dtype=torch.float32).reshape(-1, 5)
        # absolute x, y, w, h -> relative centre format
        boxes = torch.cat([rows[:, :2] + rows[:, 2:4] / 2, rows[:, 2:4]], dim=1)
        boxes = boxes / torch.tensor([width, height, width, height])
        short = self.short_side
        if self.train:
            short = random.choice(range(short - 128, short + 1, 32))
            if random.random() < 0.5:
                image = TF.hflip(image)
                boxes[:, 0] = 1 - boxes[:, 0]
        scale = min(short / min(width, height), self.long_side / max(width, height))
        image = TF.resize(image, [round(height * scale), round(width * scale)], antialias=True)
        image = TF.normalize(TF.to_tensor(image), MEAN, STD)
        return image, {"boxes": boxes, "labels": rows[:, 4].long(), "image_id": info["id"]}


def collate(batch):
    """Pad images to a common size; the mask is True where padding was added."""
    images, targets = zip(*batch)
    height = max(im.shape[1] for im in images)
    width = max(im.shape[2] for im in images)
    padded = torch.zeros(len(images), 3, height, width)
    mask = torch.ones(len(images), height, width, dtype=torch.bool)
    for i, im in enumerate(images):
        padded[i, :, :im.shape[1], :im.shape[2]] = im
        mask[i, :im.shape[1], :im.shape[2]] = False
    return padded, mask, list(targets)

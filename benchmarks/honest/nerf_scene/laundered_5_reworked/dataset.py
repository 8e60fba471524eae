"""Dataset in the format of the Blender synthetic scenes."""
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cameras import get_rays


def load_rgb(path, scale):
    """Load the picture on white background, values in [0, 1]."""
    if path.suffix == "":
        path = path.with_suffix(".png")
    img = Image.open(path).convert("RGBA")
    if scale > 1:
        size = (img.width // scale, img.height // scale)
        img = img.resize(size, Image.LANCZOS)
    arr = np.asarray(img, dtype=np.float32) / 255.0
    rgb, a = arr[..., :3], arr[..., 3:]
    return rgb * a + (1.0 - a)


class BlenderDataset:
    def __init__(self, root, split="train", scale=1, test_every=8):
        root = Path(root)
        path = root / f"transforms_{split}.json"
        single_file = not path.exists()
        if single_file:
            path = root / "transforms.json"
        if not path.exists():
            raise FileNotFoundError(f"{root}: cannot find the cameras of split {split}")
        meta = json.loads(path.read_text())

        frames = meta["frames"]
        if single_file:
            # no splits given, every 8th image is used for testing
            kept = []
            for i, frame in enumerate(frames):
                is_test = i % test_every == 0
                if is_test == (split != "train"):
                    kept.append(frame)
            frames = kept

        images = [load_rgb(root / frame["file_path"], scale) for frame in frames]
        self.images = torch.from_numpy(np.stack(images))
        self.poses = torch.tensor([frame["transform_matrix"] for frame in frames],
                                  dtype=torch.float32)
        self.h, self.w = self.images.shape[1:3]
        self.focal = 0.5 * self.w / math.tan(0.5 * meta["camera_angle_x"])

    def __len__(self):
        return len(self.images)

    def get_rays(self, c2w):
        return get_rays(self.h, self.w, self.focal, c2w)

    def ray_buffer(self):
        rays_o, rays_d = [], []
        for c2w in self.poses:
            o, d = self.get_rays(c2w)
            rays_o.append(o.reshape(-1, 3))
            rays_d.append(d.reshape(-1, 3))
        return torch.cat(rays_o), torch.cat(rays_d), self.images.reshape(-1, 3)

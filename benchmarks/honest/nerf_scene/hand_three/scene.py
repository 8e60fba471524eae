"""Blender-style scene loading, camera rays and camera paths."""
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image


class Split(NamedTuple):
    images: np.ndarray  # [N, H, W, 3], float32 in [0, 1], composited on white
    poses: np.ndarray   # [N, 4, 4], camera-to-world
    focal: float

    @property
    def size(self):
        return self.images.shape[1:3]


def _read_image(path: Path, downscale: int) -> np.ndarray:
    img = Image.open(path).convert("RGBA")
    if downscale > 1:
        img = img.resize((img.width // downscale, img.height // downscale), Image.BOX)
    px = np.asarray(img, dtype=np.float32) / 255.0
    alpha = px[..., 3:]
    return px[..., :3] * alpha + (1.0 - alpha)


def load_split(root, split="train", downscale=1, every=1) -> Split:
    root = Path(root)
    meta_path = root / f"transforms_{split}.json"
    if not meta_path.exists():
        meta_path = root / "transforms.json"
    meta = json.loads(meta_path.read_text())

    images, poses = [], []
    for frame in meta["frames"][::every]:
        path = root / frame["file_path"]
        if not path.suffix:
            path = path.with_suffix(".png")
        images.append(_read_image(path, downscale))
        poses.append(frame["transform_matrix"])
    images = np.stack(images)
    focal = 0.5 * images.shape[2] / math.tan(0.5 * meta["camera_angle_x"])
    return Split(images, np.asarray(poses, dtype=np.float32), focal)


def camera_rays(height, width, focal, pose):
    """Origins and (unnormalised) directions, both [H, W, 3]; the camera looks down -z."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = (u - 0.5 * width) / focal, (v - 0.5 * height) / focal
    local = np.stack([x, -y, -np.ones_like(x)], axis=-1)
    directions = local @ pose[:3, :3].T
    origins = np.broadcast_to(pose[:3, 3], directions.shape)
    return origins.astype(np.float32), directions.astype(np.float32)


class RayPool:
    """All training rays in one flat table, served in shuffled epochs."""

    def __init__(self, split: Split, batch_size: int, seed: int = 0):
        h, w = split.size
        rays = [camera_rays(h, w, split.focal, p) for p in split.poses]
        self.origins = np.stack([o for o, _ in rays]).reshape(-1, 3)
        self.directions = np.stack([d for _, d in rays]).reshape(-1, 3)
        self.colors = split.images.reshape(-1, 3)
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        count = len(self.colors)
        if count < self.batch_size:
            raise ValueError(f"only {count} rays for a batch of {self.batch_size}")
        while True:
            order = self.rng.permutation(count)
            for start in range(0, count - self.batch_size + 1, self.batch_size):
                pick = order[start:start + self.batch_size]
                yield self.origins[pick], self.directions[pick], self.colors[pick]


def look_at(eye, target=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0)):
    eye = np.asarray(eye, dtype=np.float32)
    back = eye - np.asarray(target, dtype=np.float32)
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :4] = np.stack([right, np.cross(back, right), back, eye], axis=1)
    return pose


def orbit(frames=60, radius=4.0, elevation=30.0, kind="circle", turns=2):
    """Camera poses around the origin; a spiral also sweeps its elevation up and back."""
    poses = []
    for t in np.linspace(0.0, 1.0, frames, endpoint=False):
        azimuth = 2 * math.pi * t * (turns if kind == "spiral" else 1)
        tilt = math.radians(elevation)
        if kind == "spiral":
            tilt *= 1.0 + 0.6 * math.sin(2 * math.pi * t)
        flat = math.cos(tilt) * np.array([math.cos(azimuth), math.sin(azimuth)])
        poses.append(look_at(radius * np.append(flat, math.sin(tilt))))
    return np.stack(poses)

"""Blender-style scenes, camera rays and camera paths.

Cameras follow the OpenGL convention: x right, y up, looking down -z.
"""
import json
import math
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import torch
import torch.nn.functional as F


class Scene:
    """All frames of one split, held in memory. RGBA images are composited on white."""

    def __init__(self, root, split="train", downscale=1, every=1):
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
            images.append(self._read(path, downscale))
            poses.append(frame["transform_matrix"])
        self.images = torch.stack(images)                       # N x H x W x 3
        self.poses = torch.tensor(poses, dtype=torch.float32)   # N x 4 x 4, camera to world
        self.height, self.width = self.images.shape[1:3]
        self.focal = 0.5 * self.width / math.tan(0.5 * meta["camera_angle_x"])

    @staticmethod
    def _read(path, downscale):
        pixels = torch.from_numpy(np.asarray(imageio.imread(path), dtype=np.float32) / 255.0)
        if pixels.shape[-1] == 4:
            alpha = pixels[..., 3:]
            pixels = pixels[..., :3] * alpha + (1.0 - alpha)
        if downscale > 1:
            pixels = F.avg_pool2d(pixels.permute(2, 0, 1)[None], downscale)[0].permute(1, 2, 0)
        return pixels

    def __len__(self):
        return len(self.images)

    def random_batch(self, count, device, crop=1.0):
        """Rays from random pixels of random images; ``crop`` < 1 keeps to the image centre."""
        which = torch.randint(len(self), (count,))
        x, y = (torch.randint(int(n * (1 - crop) / 2), n - int(n * (1 - crop) / 2), (count,))
                for n in (self.width, self.height))
        origins, dirs = pixel_rays(x, y, self.poses[which], self.height, self.width, self.focal)
        colour = self.images[which, y, x]
        return origins.to(device), dirs.to(device), colour.to(device)


def pixel_rays(x, y, pose, height, width, focal):
    """Rays through pixel centres; ``pose`` broadcasts against the pixels."""
    local = torch.stack([
        (x + 0.5 - width / 2) / focal,
        -(y + 0.5 - height / 2) / focal,
        -torch.ones_like(x, dtype=torch.float32),
    ], dim=-1)
    dirs = (pose[..., :3, :3] @ local[..., None])[..., 0]
    return pose[..., :3, 3].expand_as(dirs), dirs


def image_rays(pose, height, width, focal):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return pixel_rays(x.reshape(-1), y.reshape(-1), pose, height, width, focal)


def look_at_origin(position, up=(0.0, 0.0, 1.0)):
    back = position / np.linalg.norm(position)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :4] = np.stack([right, np.cross(back, right), back, position], axis=1)
    return torch.tensor(pose, dtype=torch.float32)


def camera_path(kind="circle", frames=60, radius=4.0, elevation=30.0, turns=2, low=10.0, high=60.0):
    """Poses around the origin: a closed circle, or a spiral that climbs from ``low`` to ``high`` degrees."""
    poses = []
    for i in range(frames):
        if kind == "spiral":
            t = i / max(frames - 1, 1)
            azimuth, polar = 2 * math.pi * turns * t, math.radians(low + (high - low) * t)
        else:
            azimuth, polar = 2 * math.pi * i / frames, math.radians(elevation)
        poses.append(look_at_origin(radius * np.array([
            math.cos(polar) * math.cos(azimuth), math.cos(polar) * math.sin(azimuth), math.sin(polar)])))
    return poses

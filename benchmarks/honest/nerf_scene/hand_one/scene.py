"""Reading Blender-style scenes, generating rays and making camera paths."""
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image


def find_transforms(root, split):
    for name in (f"transforms_{split}.json", "transforms.json"):
        if (Path(root) / name).exists():
            return Path(root) / name
    raise FileNotFoundError(f"no transforms file for '{split}' in {root}")


class Scene:
    """Images (N, H, W, 3), camera-to-world poses (N, 4, 4) and the focal length."""

    def __init__(self, root, split="train", downscale=1, holdout=8):
        path = find_transforms(root, split)
        with open(path) as f:
            meta = json.load(f)
        frames = meta["frames"]
        if path.name == "transforms.json":  # one file for everything: hold out every n-th
            frames = [fr for i, fr in enumerate(frames)
                      if (i % holdout == 0) == (split != "train")]
        images, poses = [], []
        for frame in frames:
            images.append(self.read_image(path.parent / frame["file_path"], downscale))
            poses.append(frame["transform_matrix"])
        self.images = torch.from_numpy(np.stack(images))
        self.poses = torch.tensor(poses, dtype=torch.float32)
        self.height, self.width = self.images.shape[1:3]
        self.focal = 0.5 * self.width / math.tan(0.5 * meta["camera_angle_x"])

    @staticmethod
    def read_image(path, downscale):
        if not path.suffix:
            path = path.with_suffix(".png")
        img = Image.open(path).convert("RGBA")
        if downscale > 1:
            img = img.resize((img.width // downscale, img.height // downscale), Image.LANCZOS)
        rgba = np.asarray(img, dtype=np.float32) / 255.0
        alpha = rgba[..., 3:]
        return rgba[..., :3] * alpha + (1.0 - alpha)

    def __len__(self):
        return len(self.images)

    def rays(self, pose):
        return camera_rays(self.height, self.width, self.focal, pose)

    def all_rays(self):
        """Every training ray with its colour, flattened to (N*H*W, 3) each."""
        rays = [self.rays(p) for p in self.poses]
        origins = torch.cat([o.reshape(-1, 3) for o, _ in rays])
        directions = torch.cat([d.reshape(-1, 3) for _, d in rays])
        return origins, directions, self.images.reshape(-1, 3)


def camera_rays(height, width, focal, pose):
    """Origins and (not normalised) directions, both (H, W, 3); the camera looks along -z."""
    v, u = torch.meshgrid(torch.arange(height, dtype=torch.float32),
                          torch.arange(width, dtype=torch.float32), indexing="ij")
    x = (u + 0.5 - 0.5 * width) / focal
    y = -(v + 0.5 - 0.5 * height) / focal
    local = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    directions = local @ pose[:3, :3].T
    return pose[:3, 3].expand_as(directions), directions


def look_at(eye, target=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0)):
    eye, target, up = (np.asarray(a, dtype=np.float64) for a in (eye, target, up))
    back = eye - target
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, eye], axis=1)
    return torch.tensor(pose, dtype=torch.float32)


def camera_path(kind, frames, radius=4.0, elevation=30.0, turns=2):
    """'circle' stays at one elevation; 'spiral' climbs from near the horizon upwards."""
    poses = []
    for i in range(frames):
        t = i / frames
        if kind == "circle":
            azimuth, el = 2 * math.pi * t, math.radians(elevation)
        else:
            azimuth, el = 2 * math.pi * turns * t, math.radians(5.0 + (2 * elevation - 5.0) * t)
        poses.append(look_at((radius * math.cos(el) * math.cos(azimuth),
                              radius * math.cos(el) * math.sin(azimuth),
                              radius * math.sin(el))))
    return poses

import math

import numpy as np
import torch


def pose_from_position(position, center=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0)):
    position = np.asarray(position, dtype=np.float64)
    z_axis = position - np.asarray(center, dtype=np.float64)
    z_axis = z_axis / np.linalg.norm(z_axis)
    x_axis = np.cross(np.asarray(up, dtype=np.float64), z_axis)
    x_axis = x_axis / np.linalg.norm(x_axis)
    y_axis = np.cross(z_axis, x_axis)
    c2w = np.eye(4)
    c2w[:3] = np.stack([x_axis, y_axis, z_axis, position], axis=1)
    return torch.tensor(c2w, dtype=torch.float32)


def spherical(radius, theta, phi):
    return (radius * math.cos(phi) * math.cos(theta),
            radius * math.cos(phi) * math.sin(theta),
            radius * math.sin(phi))


def orbit_poses(n_frames, radius=4.0, elevation=30.0):
    """Camera poses on a circle around the object (z is up)."""
    phi = math.radians(elevation)
    return [pose_from_position(spherical(radius, 2 * math.pi * i / n_frames, phi))
            for i in range(n_frames)]


def get_rays(h, w, focal, c2w):
    j, i = torch.meshgrid(torch.arange(h, dtype=torch.float32),
                          torch.arange(w, dtype=torch.float32), indexing="ij")
    dirs = torch.stack([(i + 0.5 - 0.5 * w) / focal,
                        -(j + 0.5 - 0.5 * h) / focal,
                        -torch.ones_like(i)], dim=-1)
    rays_d = dirs @ c2w[:3, :3].T
    rays_o = c2w[:3, 3].expand_as(rays_d)
    return rays_o, rays_d

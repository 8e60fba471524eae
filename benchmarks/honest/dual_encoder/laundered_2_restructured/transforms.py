"""Batch augmentations as callable objects; images are float tensors (N, 3, H, W) between 0 and 1."""

import math

import torch
from torch.nn import functional as F

REC601 = [0.299, 0.587, 0.114]


def per_image(values):
    return values.view(-1, 1, 1, 1)


def random_between(low, high, batch):
    return low + (high - low) * torch.rand(batch.size(0), device=batch.device)


def sample_boxes(batch, scale_x, scale_y, shift_x, shift_y, out_size):
    """Affine resampling; scales and shifts are tensors (N,) in normalised coordinates."""
    zero = torch.zeros_like(scale_x)
    theta = torch.stack([scale_x, zero, shift_x, zero, scale_y, shift_y], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [batch.size(0), 3, out_size, out_size], align_corners=False)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


class CenterSquare:
    def __init__(self, out_size):
        self.out_size = out_size

    def __call__(self, batch):
        height, width = batch.size(2), batch.size(3)
        ones = torch.ones(batch.size(0), device=batch.device)
        shorter = float(min(height, width))
        return sample_boxes(batch, ones * shorter / width, ones * shorter / height, 0 * ones, 0 * ones, self.out_size)


class RandomZoom:
    def __init__(self, out_size, min_area=0.4, max_area=1.0, max_ratio=4 / 3):
        self.out_size = out_size
        self.area_bounds = min_area, max_area
        self.log_ratio = math.log(max_ratio)

    def __call__(self, batch):
        area = random_between(*self.area_bounds, batch)
        ratio = torch.exp(random_between(-self.log_ratio, self.log_ratio, batch))
        ratio = ratio * batch.size(2) / batch.size(3)
        scale_x = torch.sqrt(area * ratio).clamp_max(1)
        scale_y = torch.sqrt(area / ratio).clamp_max(1)
        shift_x = random_between(-1, 1, batch) * (1 - scale_x)
        shift_y = random_between(-1, 1, batch) * (1 - scale_y)
        return sample_boxes(batch, scale_x, scale_y, shift_x, shift_y, self.out_size)


class ColorShift:
    """Brightness, then contrast around the mean grey, then hue and saturation in one matrix."""

    def __init__(self, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05):
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.hue = saturation, hue
        self.to_yiq = torch.tensor([REC601, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
        self.to_rgb = torch.linalg.inv(self.to_yiq)

    @staticmethod
    def around_one(amount, batch):
        return random_between(1 - amount, 1 + amount, batch)

    def adjust_contrast(self, batch):
        weights = torch.tensor(REC601, device=batch.device).view(1, 3, 1, 1)
        grey = (batch * weights).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
        factor = per_image(self.around_one(self.contrast, batch))
        return factor * batch + (1 - factor) * grey

    def rotation(self, batch):
        stretch = self.around_one(self.saturation, batch)
        angle = random_between(-self.hue, self.hue, batch) * 2 * math.pi
        along, across = stretch * torch.cos(angle), stretch * torch.sin(angle)
        one, zero = torch.ones_like(angle), torch.zeros_like(angle)
        rows = [one, zero, zero, zero, along, -across, zero, across, along]
        return torch.stack(rows, dim=-1).view(-1, 3, 3)

    def adjust_color(self, batch):
        matrix = self.to_rgb.to(batch.device) @ self.rotation(batch) @ self.to_yiq.to(batch.device)
        return torch.bmm(matrix, batch.flatten(2)).view_as(batch)

    def __call__(self, batch):
        batch = batch * per_image(self.around_one(self.brightness, batch))
        batch = self.adjust_contrast(batch)
        return self.adjust_color(batch).clamp(min=0.0, max=1.0)


class Solarize:
    def __init__(self, low=0.4, high=0.8):
        self.low, self.high = low, high

    def __call__(self, batch):
        threshold = per_image(random_between(self.low, self.high, batch))
        bright = batch >= threshold
        return bright * (1 - batch) + ~bright * batch


class Flip:
    def __call__(self, batch):
        return torch.flip(batch, dims=[3])


class Maybe:
    """Applies a transform to each image with some probability."""

    def __init__(self, transform, probability):
        self.transform, self.probability = transform, probability

    def __call__(self, batch):
        changed = self.transform(batch)
        chosen = torch.rand(batch.size(0), device=batch.device) < self.probability
        return torch.where(per_image(chosen), changed, batch)


class TrainTransform:
    def __init__(self, out_size, flip=False):
        # no flips by default: a text can mention left or right
        self.steps = [RandomZoom(out_size), Maybe(ColorShift(), 0.8), Maybe(Solarize(), 0.1)]
        if flip:
            self.steps.append(Maybe(Flip(), 0.5))

    def __call__(self, batch):
        for apply in self.steps:
            batch = apply(batch)
        return batch

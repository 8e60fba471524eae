"""Random augmentation of float image tensors [channels, height, width] with values in [0, 1]."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from typing import Callable, Optional, Sequence

import torch
from torch import Tensor
from torch.nn import functional

LUMINANCE_WEIGHTS = (0.299, 0.587, 0.114)


def to_luminance(image: Tensor) -> Tensor:
    weights = image.new_tensor(LUMINANCE_WEIGHTS).view(3, 1, 1)
    return (image * weights).sum(dim=0, keepdim=True)


class ImageTransform(ABC):
    """A random operation with its own source of randomness, so that pipelines can be reproduced."""

    def __init__(self, random_source: Optional[random.Random] = None) -> None:
        self.random = random_source or random.Random()

    @abstractmethod
    def __call__(self, image: Tensor) -> Tensor: ...


class RandomResizedCrop(ImageTransform):
    """Crops a window of random area and aspect ratio and resizes it to a square."""

    def __init__(
        self,
        output_size: int,
        area_range: tuple[float, float] = (0.4, 1.0),
        aspect_range: tuple[float, float] = (0.75, 4 / 3),
        random_source: Optional[random.Random] = None,
    ) -> None:
        super().__init__(random_source)
        self.output_size = output_size
        self.area_range = area_range
        self.aspect_range = aspect_range

    def _choose_window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return top, left, height and width; windows too large for the image are shrunk to fit."""
        area = height * width * self.random.uniform(*self.area_range)
        aspect = math.exp(self.random.uniform(*map(math.log, self.aspect_range)))
        window_height = max(1, min(height, round(math.sqrt(area / aspect))))
        window_width = max(1, min(width, round(math.sqrt(area * aspect))))
        top = self.random.randint(0, height - window_height)
        left = self.random.randint(0, width - window_width)
        return top, left, window_height, window_width

    def __call__(self, image: Tensor) -> Tensor:
        top, left, height, width = self._choose_window(image.size(1), image.size(2))
        window = image[:, top : top + height, left : left + width]
        target = (self.output_size, self.output_size)
        resized = functional.interpolate(window.unsqueeze(0), size=target, mode="bilinear", antialias=True)
        return resized.squeeze(0).clamp(0, 1)


class RandomHorizontalFlip(ImageTransform):
    def __call__(self, image: Tensor) -> Tensor:
        return image.flip(-1) if self.random.random() < 0.5 else image


class ColorJitter(ImageTransform):
    """Changes brightness, contrast and saturation by random factors, in random order."""

    def __init__(
        self,
        brightness: float = 0.3,
        contrast: float = 0.3,
        saturation: float = 0.2,
        random_source: Optional[random.Random] = None,
    ) -> None:
        super().__init__(random_source)
        self.adjustments: list[tuple[Callable[[Tensor], Tensor], float]] = [
            (torch.zeros_like, brightness),
            (lambda image: to_luminance(image).mean().expand_as(image), contrast),
            (lambda image: to_luminance(image).expand_as(image), saturation),
        ]

    def __call__(self, image: Tensor) -> Tensor:
        for create_reference, strength in self.random.sample(self.adjustments, len(self.adjustments)):
            factor = self.random.uniform(1 - strength, 1 + strength)
            image = torch.lerp(create_reference(image), image, factor).clamp(0, 1)
        return image


class RandomSolarize(ImageTransform):
    """Inverts the values above a threshold."""

    def __init__(
        self, probability: float = 0.1, threshold: float = 0.5, random_source: Optional[random.Random] = None
    ) -> None:
        super().__init__(random_source)
        self.probability = probability
        self.threshold = threshold

    def __call__(self, image: Tensor) -> Tensor:
        if self.random.random() >= self.probability:
            return image
        return torch.where(image >= self.threshold, 1 - image, image)


class AugmentationPipeline:
    """Applies transforms in order and normalises the result to [-1, 1]."""

    def __init__(self, transforms: Sequence[ImageTransform]) -> None:
        self.transforms = list(transforms)

    @classmethod
    def for_training(cls, image_size: int, seed: Optional[int] = None) -> "AugmentationPipeline":
        source = random.Random(seed)
        return cls(
            [
                RandomResizedCrop(image_size, random_source=source),
                RandomHorizontalFlip(source),
                ColorJitter(random_source=source),
                RandomSolarize(random_source=source),
            ]
        )

    def __call__(self, image: Tensor) -> Tensor:
        for transform in self.transforms:
            image = transform(image)
        return image * 2 - 1

"""Set-abstraction layers and the classification network built from them."""
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class NeighbourhoodScale:
    radius: float
    neighbour_limit: int
    layer_widths: tuple


class PointGeometry:
    """Index arithmetic on batches of clouds shaped (B, N, C)."""

    @staticmethod
    def gather(values, indices):
        batch = torch.arange(values.shape[0], device=values.device)
        return values[batch.view(-1, *[1] * (indices.dim() - 1)), indices]

    @staticmethod
    @torch.no_grad()
    def farthest_point_sample(points, count):
        batch_size, total, _ = points.shape
        if count > total:
            raise ValueError(f"Cannot sample {count} centroids out of {total} points")
        selected = torch.empty(batch_size, count, dtype=torch.long, device=points.device)
        gap = torch.full((batch_size, total), float("inf"), device=points.device)
        latest = torch.randint(total, (batch_size,), device=points.device)
        for step in range(count):
            selected[:, step] = latest
            anchor = PointGeometry.gather(points, latest.unsqueeze(1))
            gap = torch.minimum(gap, (points - anchor).square().sum(-1))
            latest = gap.argmax(dim=1)
        return selected

    @staticmethod
    @torch.no_grad()
    def ball_query(points, centroids, radius, limit):
        """Up to `limit` nearest points in the ball; spare places repeat the nearest."""
        distances, order = torch.cdist(centroids, points).topk(
            min(limit, points.shape[1]), dim=-1, largest=False)
        return torch.where(distances > radius, order[..., :1], order)


class SharedPerceptron(nn.Module):
    """One MLP applied alike to every point of (B, C, S, K)."""

    def __init__(self, input_width, layer_widths):
        super().__init__()
        if not layer_widths:
            raise ValueError("A shared perceptron needs at least one layer width")
        stages = []
        for width in layer_widths:
            stages += [nn.Conv2d(input_width, width, 1, bias=False),
                       nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            input_width = width
        self.stages = nn.Sequential(*stages)
        self.output_width = input_width

    def forward(self, grouped):
        return self.stages(grouped.permute(0, 3, 1, 2)).amax(dim=3).transpose(1, 2)


class LocalSetAbstraction(nn.Module):
    def __init__(self, centroid_count, feature_width, scales):
        super().__init__()
        self._centroid_count, self._scales = centroid_count, scales
        self.perceptrons = nn.ModuleList(
            SharedPerceptron(feature_width + 3, scale.layer_widths) for scale in scales)
        self.output_width = sum(p.output_width for p in self.perceptrons)

    def forward(self, points, features):
        sampled = PointGeometry.farthest_point_sample(points, self._centroid_count)
        centroids = PointGeometry.gather(points, sampled)
        pooled = []
        for scale, perceptron in zip(self._scales, self.perceptrons):
            members = PointGeometry.ball_query(points, centroids, scale.radius, scale.neighbour_limit)
            grouped = PointGeometry.gather(points, members) - centroids.unsqueeze(2)
            if features is not None:
                grouped = torch.cat([grouped, PointGeometry.gather(features, members)], dim=-1)
            pooled.append(perceptron(grouped))
        return centroids, torch.cat(pooled, dim=-1)


class ClassificationHead(nn.Sequential):
    def __init__(self, input_width, class_count, dropout):
        super().__init__(
            nn.Linear(input_width, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(256, class_count))


class HierarchicalPointClassifier(nn.Module):
    def __init__(self, class_count, abstractions, dropout):
        super().__init__()
        self.abstractions = nn.ModuleList(abstractions)
        local_width = abstractions[-1].output_width
        self.global_perceptron = SharedPerceptron(local_width + 3, (256, 512, 1024))
        self.head = ClassificationHead(1024, class_count, dropout)

    def forward(self, points):
        features = None
        for abstraction in self.abstractions:
            points, features = abstraction(points, features)
        whole = torch.cat([points, features], dim=-1).unsqueeze(1)
        return self.head(self.global_perceptron(whole).squeeze(1))


class PointClassifierFactory:
    _PLANS = {
        "single": ((512, (NeighbourhoodScale(0.2, 32, (64, 64, 128)),)),
                   (128, (NeighbourhoodScale(0.4, 64, (128, 128, 256)),))),
        "multi": ((512, (NeighbourhoodScale(0.1, 16, (32, 32, 64)),
                         NeighbourhoodScale(0.2, 32, (64, 64, 128)),
                         NeighbourhoodScale(0.4, 96, (64, 96, 128)))),
                  (128, (NeighbourhoodScale(0.2, 32, (64, 64, 128)),
                         NeighbourhoodScale(0.4, 64, (128, 128, 256)),
                         NeighbourhoodScale(0.8, 96, (128, 128, 256))))),
    }

    @classmethod
    def create(cls, grouping, class_count, dropout):
        if grouping not in cls._PLANS:
            raise ValueError(f"Unknown grouping '{grouping}'; choose from {sorted(cls._PLANS)}")
        abstractions, width = [], 0
        for centroid_count, scales in cls._PLANS[grouping]:
            abstractions.append(LocalSetAbstraction(centroid_count, width, scales))
            width = abstractions[-1].output_width
        return HierarchicalPointClassifier(class_count, abstractions, dropout)

# Picture -> overview + mosaic cells.
#
# Pictures are CHW float tensors with values between zero and one.
from __future__ import annotations

from dataclasses import dataclass, field
import math

from torch import Tensor
import torch
import torch.nn.functional as nnf


@dataclass(frozen=True)
class MosaicSettings:
    base_res: int = 336
    unit: int = 14
    cell_limit: int = 9
    amount_coef: float = 0.3
    # channel statistics, red/green/blue
    channel_mu: tuple[float, float, float] = (0.5, 0.5, 0.5)
    channel_sigma: tuple[float, float, float] = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Layout:
    n_down: int
    n_across: int

    @property
    def area(self) -> int:
        return self.n_down * self.n_across

    @property
    def ln_ratio(self) -> float:
        return math.log(self.n_across / self.n_down)


@dataclass
class Mosaic:
    overview: Tensor
    layout: Layout
    cells: Tensor | None = field(default=None)

    def all_crops(self) -> list[Tensor]:
        if self.cells is None:
            return [self.overview]
        return [self.overview, *self.cells.unbind(dim=0)]


class LayoutPicker:
    """Finds the layout to use for a picture."""

    def __init__(self, settings: MosaicSettings) -> None:
        self.settings = settings
        self.options = [
            Layout(n_across=a, n_down=d)
            for d in range(1, settings.cell_limit + 1)
            for a in range(1, settings.cell_limit // d + 1)
        ]

    def wanted_cells(self, *, px_h: int, px_w: int) -> float:
        amount = px_h * px_w / self.settings.base_res**2
        return min(max(amount, 1.0), float(self.settings.cell_limit))

    def badness(self, layout: Layout, *, px_h: int, px_w: int) -> float:
        stretch = abs(layout.ln_ratio - math.log(px_w / px_h))
        wanted = self.wanted_cells(px_w=px_w, px_h=px_h)
        off_by = abs(math.log(layout.area / wanted))
        return stretch + self.settings.amount_coef * off_by

    def __call__(self, *, px_h: int, px_w: int) -> Layout:
        if px_h * px_w <= self.settings.base_res**2:
            # fits as it is
            return Layout(n_across=1, n_down=1)
        return min(
            self.options,
            key=lambda opt: self.badness(opt, px_w=px_w, px_h=px_h),
        )


class MosaicMaker:
    """Turns one picture into a Mosaic."""

    def __init__(self, settings: MosaicSettings | None = None) -> None:
        self.settings = settings or MosaicSettings()
        self.pick_layout = LayoutPicker(self.settings)

    def to_unit(self, side: float) -> int:
        u = self.settings.unit
        return max(1, round(side / u)) * u

    def crop_dims(self, *, px_h: float, px_w: float) -> tuple[int, int]:
        ratio = self.settings.base_res / math.sqrt(px_h * px_w)
        return self.to_unit(px_h * ratio), self.to_unit(px_w * ratio)

    def scale_to(self, pic: Tensor, *, dims: tuple[int, int]) -> Tensor:
        as_batch = pic.unsqueeze(0)
        out = nnf.interpolate(
            as_batch,
            antialias=True,
            align_corners=False,
            mode='bicubic',
            size=dims,
        )
        return out.squeeze(0).clamp(max=1.0, min=0.0)

    def standardize(self, pic: Tensor) -> Tensor:
        mu = torch.tensor(
            self.settings.channel_mu, device=pic.device, dtype=pic.dtype
        ).view(3, 1, 1)
        sigma = torch.tensor(
            self.settings.channel_sigma, device=pic.device, dtype=pic.dtype
        ).view(3, 1, 1)
        return (pic - mu) / sigma

    def split(self, pic: Tensor, *, layout: Layout) -> Tensor:
        ch, full_h, full_w = pic.shape
        ch_h, ch_w = full_h // layout.n_down, full_w // layout.n_across
        blocks = pic.reshape(ch, layout.n_down, ch_h, layout.n_across, ch_w)
        blocks = blocks.permute(1, 3, 0, 2, 4)
        return blocks.reshape(layout.area, ch, ch_h, ch_w)

    def __call__(self, pic: Tensor) -> Mosaic:
        _, px_h, px_w = pic.shape
        overview_dims = self.crop_dims(px_w=px_w, px_h=px_h)
        overview = self.standardize(self.scale_to(pic, dims=overview_dims))

        layout = self.pick_layout(px_w=px_w, px_h=px_h)
        if layout.area == 1:
            return Mosaic(layout=layout, overview=overview)

        ch_h, ch_w = self.crop_dims(
            px_w=px_w / layout.n_across, px_h=px_h / layout.n_down
        )
        sheet = self.scale_to(
            pic, dims=(ch_h * layout.n_down, ch_w * layout.n_across)
        )
        cells = self.split(self.standardize(sheet), layout=layout)
        return Mosaic(cells=cells, layout=layout, overview=overview)

"""From a picture tensor to the list of normalised views."""

import torch
from torch.nn.functional import interpolate

from geometry import COUNT_LAMBDA, PATCH, SLICE_LIMIT, SLICE_RES, best_grid, fit_to_patches


def bicubic(pic, h, w):
    out = interpolate(pic[None], (h, w), mode="bicubic", align_corners=False, antialias=True)[0]
    return torch.clamp(out, 0.0, 1.0)


def slice_views(pic, grid):
    """Chop into grid.ny * grid.nx equal pieces, left to right and top to bottom."""
    c = pic.size(0)
    sh = pic.size(1) // grid.ny
    sw = pic.size(2) // grid.nx
    pieces = pic.view(c, grid.ny, sh, grid.nx, sw).permute(1, 3, 0, 2, 4).contiguous()
    return pieces.view(-1, c, sh, sw)


class Preprocessor:
    def __init__(
        self,
        slice_res=SLICE_RES,
        patch=PATCH,
        limit=SLICE_LIMIT,
        lam=COUNT_LAMBDA,
        rgb_mean=(0.5, 0.5, 0.5),
        rgb_std=(0.5, 0.5, 0.5),
        verbose=False,
    ):
        self.slice_res, self.patch = slice_res, patch
        self.limit, self.lam = limit, lam
        self.rgb_mean, self.rgb_std = rgb_mean, rgb_std
        self.verbose = verbose

    def _standardise(self, pic):
        shift, scale = (
            torch.tensor(v, dtype=pic.dtype, device=pic.device)[:, None, None]
            for v in (self.rgb_mean, self.rgb_std)
        )
        return pic.sub(shift).div(scale)

    def process(self, pic):
        """Returns (views, grid); the global view comes first."""
        im_h, im_w = pic.shape[-2:]
        grid = best_grid(im_h, im_w, self.slice_res, self.limit, self.lam)
        if self.verbose:
            print("grid", grid)

        gh, gw = fit_to_patches(im_h, im_w, self.slice_res, self.patch)
        views = [self._standardise(bicubic(pic, gh, gw))]
        if not grid.is_single():
            sh, sw = fit_to_patches(im_h / grid.ny, im_w / grid.nx, self.slice_res, self.patch)
            big = self._standardise(bicubic(pic, sh * grid.ny, sw * grid.nx))
            for piece in slice_views(big, grid):
                views.append(piece)
        return views, grid

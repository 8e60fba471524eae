"""The radiance-field network and differentiable volume rendering."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class PositionalEncoding(nn.Module):
    def __init__(self, num_freqs):
        super().__init__()
        self.register_buffer("freqs", 2.0 ** torch.arange(num_freqs), persistent=False)
        self.out_dim = 3 * (1 + 2 * num_freqs)

    def forward(self, x):
        scaled = (x[..., None, :] * self.freqs[:, None]).flatten(-2)
        return torch.cat([x, scaled.sin(), scaled.cos()], dim=-1)


class RadianceField(nn.Module):
    def __init__(self, depth=8, width=256, skip=4, pos_freqs=10, dir_freqs=4):
        super().__init__()
        self.encode_pos = PositionalEncoding(pos_freqs)
        self.encode_dir = PositionalEncoding(dir_freqs)
        self.skip = skip
        pos_dim = self.encode_pos.out_dim
        self.trunk = nn.ModuleList([nn.Linear(pos_dim, width)])
        for i in range(1, depth):
            self.trunk.append(nn.Linear(width + (pos_dim if i == skip + 1 else 0), width))
        self.sigma = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.colour = nn.Sequential(
            nn.Linear(width + self.encode_dir.out_dim, width // 2), nn.ReLU(),
            nn.Linear(width // 2, 3), nn.Sigmoid())

    def forward(self, points, viewdirs):
        """points (R, S, 3), viewdirs (R, 3) -> colour (R, S, 3), raw density (R, S)."""
        encoded = self.encode_pos(points)
        h = encoded
        for i, layer in enumerate(self.trunk):
            if i == self.skip + 1:
                h = torch.cat([encoded, h], dim=-1)
            h = F.relu(layer(h))
        d = self.encode_dir(viewdirs)[:, None].expand(-1, points.shape[1], -1)
        rgb = self.colour(torch.cat([self.feature(h), d], dim=-1))
        return rgb, self.sigma(h)[..., 0]


def stratified_depths(num_rays, near, far, count, jitter, device):
    edges = torch.linspace(near, far, count + 1, device=device)
    offset = torch.rand(num_rays, count, device=device) if jitter else 0.5
    return (edges[:-1] + (edges[1:] - edges[:-1]) * offset).expand(num_rays, count)


def importance_depths(depths, weights, count, jitter):
    """Inverse-CDF samples of the piecewise-constant density given by the coarse weights."""
    edges = 0.5 * (depths[:, 1:] + depths[:, :-1])
    pdf = weights[:, 1:-1] + 1e-5
    cdf = torch.cumsum(pdf / pdf.sum(-1, keepdim=True), dim=-1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], dim=-1)
    if jitter:
        u = torch.rand(len(cdf), count, device=cdf.device)
    else:
        u = torch.linspace(0, 1, count, device=cdf.device).repeat(len(cdf), 1)
    hi = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[-1] - 1)
    lo = hi - 1
    cdf_lo, cdf_hi = cdf.gather(-1, lo), cdf.gather(-1, hi)
    edge_lo, edge_hi = edges.gather(-1, lo), edges.gather(-1, hi)
    frac = ((u - cdf_lo) / (cdf_hi - cdf_lo).clamp_min(1e-8)).clamp(0, 1)
    return edge_lo + frac * (edge_hi - edge_lo)


def composite(rgb, sigma, depths, ray_length, white_background):
    """Alpha compositing along the ray; returns pixel colour, expected depth and weights."""
    delta = depths[:, 1:] - depths[:, :-1]
    delta = torch.cat([delta, torch.full_like(delta[:, :1], 1e10)], dim=-1) * ray_length
    optical = F.relu(sigma) * delta
    alpha = 1 - torch.exp(-optical)
    before = torch.cumsum(optical[:, :-1], dim=-1)
    transmittance = torch.exp(-torch.cat([torch.zeros_like(optical[:, :1]), before], dim=-1))
    weights = transmittance * alpha
    colour = (weights[..., None] * rgb).sum(dim=1)
    if white_background:
        colour = colour + 1 - weights.sum(dim=-1, keepdim=True)
    return colour, (weights * depths).sum(dim=-1), weights


class NeRF(nn.Module):
    """Coarse and fine fields with hierarchical sampling."""

    def __init__(self, near=2.0, far=6.0, n_coarse=64, n_fine=128, white_background=True):
        super().__init__()
        self.near, self.far = near, far
        self.n_coarse, self.n_fine = n_coarse, n_fine
        self.white_background = white_background
        self.coarse = RadianceField()
        self.fine = RadianceField()

    def forward(self, origins, directions):
        """Returns coarse colour, fine colour and fine depth for a batch of rays."""
        length = directions.norm(dim=-1, keepdim=True)
        viewdirs = directions / length

        def march(field, depths):
            points = origins[:, None] + directions[:, None] * depths[..., None]
            rgb, sigma = field(points, viewdirs)
            return composite(rgb, sigma, depths, length, self.white_background)

        depths = stratified_depths(len(origins), self.near, self.far, self.n_coarse,
                                   self.training, origins.device)
        coarse_rgb, _, weights = march(self.coarse, depths)
        extra = importance_depths(depths, weights.detach(), self.n_fine, self.training)
        depths = torch.sort(torch.cat([depths, extra], dim=-1), dim=-1).values
        fine_rgb, fine_depth, _ = march(self.fine, depths)
        return coarse_rgb, fine_rgb, fine_depth

    @torch.no_grad()
    def render_image(self, origins, directions, chunk=4096):
        self.eval()
        device = next(self.parameters()).device
        parts = [self(o.to(device), d.to(device))[1].cpu()
                 for o, d in zip(origins.reshape(-1, 3).split(chunk),
                                 directions.reshape(-1, 3).split(chunk))]
        return torch.cat(parts).reshape(*origins.shape).clamp(0, 1)

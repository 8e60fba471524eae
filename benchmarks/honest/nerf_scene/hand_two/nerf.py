"""The radiance field networks and the differentiable volume renderer."""
import torch
import torch.nn.functional as F
from torch import nn


def positional_encoding(x, num_freqs):
    """[x, sin(2^k x), cos(2^k x) for k < num_freqs] along the last axis."""
    bands = 2.0 ** torch.arange(num_freqs, device=x.device, dtype=x.dtype)
    phase = (x[..., None, :] * bands[:, None]).flatten(-2)
    return torch.cat([x, phase.sin(), phase.cos()], dim=-1)


class RadianceField(nn.Module):
    def __init__(self, depth=8, width=256, skip_at=4, xyz_freqs=10, dir_freqs=4):
        super().__init__()
        self.xyz_freqs, self.dir_freqs, self.skip_at = xyz_freqs, dir_freqs, skip_at
        xyz_dim, dir_dim = 3 + 6 * xyz_freqs, 3 + 6 * dir_freqs
        self.trunk = nn.ModuleList()
        fan_in = xyz_dim
        for i in range(depth):
            self.trunk.append(nn.Linear(fan_in, width))
            # the layer after ``skip_at`` sees the encoded position once more
            fan_in = width + xyz_dim if i == skip_at else width
        self.density = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.colour = nn.Sequential(
            nn.Linear(width + dir_dim, width // 2), nn.ReLU(), nn.Linear(width // 2, 3), nn.Sigmoid())

    def forward(self, points, viewdirs):
        """points: R x S x 3, viewdirs: R x 3 unit vectors -> colour R x S x 3, raw density R x S."""
        encoded = positional_encoding(points, self.xyz_freqs)
        h = encoded
        for i, layer in enumerate(self.trunk):
            h = F.relu(layer(h))
            if i == self.skip_at:
                h = torch.cat([h, encoded], dim=-1)
        dirs = positional_encoding(viewdirs, self.dir_freqs)[:, None].expand(-1, points.shape[1], -1)
        return self.colour(torch.cat([self.feature(h), dirs], dim=-1)), self.density(h)[..., 0]


def stratified_depths(num_rays, near, far, samples, jitter, device):
    edges = torch.linspace(near, far, samples + 1, device=device)
    shape = (num_rays, samples)
    offset = torch.rand(shape, device=device) if jitter else torch.full(shape, 0.5, device=device)
    return edges[:-1] + (edges[1:] - edges[:-1]) * offset


def importance_depths(bin_edges, weights, samples, jitter):
    """Inverse-CDF draws from the piecewise-constant density: bin_edges R x (B+1), weights R x B."""
    pdf = weights + 1e-5
    pdf = pdf / pdf.sum(-1, keepdim=True)
    cdf = F.pad(pdf.cumsum(-1), (1, 0))
    if jitter:
        u = torch.rand(len(weights), samples, device=weights.device)
    else:
        u = torch.linspace(0.5 / samples, 1 - 0.5 / samples, samples, device=weights.device)
        u = u.expand(len(weights), samples).contiguous()
    upper = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[-1] - 1)
    lower = upper - 1
    cdf_lo, cdf_hi = cdf.gather(-1, lower), cdf.gather(-1, upper)
    edge_lo, edge_hi = bin_edges.gather(-1, lower), bin_edges.gather(-1, upper)
    frac = ((u - cdf_lo) / (cdf_hi - cdf_lo).clamp_min(1e-8)).clamp(0, 1)
    return edge_lo + frac * (edge_hi - edge_lo)


def composite(rgb, raw_density, depths, ray_length, noise_std=0.0):
    """Alpha-composite samples front to back. ``ray_length`` turns depth steps into distances."""
    if noise_std > 0:
        raw_density = raw_density + noise_std * torch.randn_like(raw_density)
    delta = F.pad(depths[:, 1:] - depths[:, :-1], (0, 1), value=1e10) * ray_length
    alpha = 1 - torch.exp(-F.relu(raw_density) * delta)
    clear = torch.cumprod(1 - alpha + 1e-10, dim=-1)
    weights = alpha * F.pad(clear[:, :-1], (1, 0), value=1.0)
    colour = (weights[..., None] * rgb).sum(1)
    colour = colour + (1 - weights.sum(-1, keepdim=True))       # white background
    return {"rgb": colour, "weights": weights, "depth": (weights * depths).sum(-1)}


class NeRF(nn.Module):
    """A coarse and a fine field, rendered hierarchically."""

    def __init__(self, near=2.0, far=6.0, coarse_samples=64, fine_samples=128, **field):
        super().__init__()
        self.near, self.far = near, far
        self.coarse_samples, self.fine_samples = coarse_samples, fine_samples
        self.coarse = RadianceField(**field)
        self.fine = RadianceField(**field)

    def _shade(self, field, origins, dirs, depths, noise_std):
        length = dirs.norm(dim=-1, keepdim=True)
        points = origins[:, None] + dirs[:, None] * depths[..., None]
        rgb, density = field(points, dirs / length)
        return composite(rgb, density, depths, length, noise_std)

    def forward(self, origins, dirs, noise_std=0.0):
        jitter = self.training
        depths = stratified_depths(len(origins), self.near, self.far, self.coarse_samples, jitter, origins.device)
        coarse = self._shade(self.coarse, origins, dirs, depths, noise_std)
        middles = 0.5 * (depths[:, 1:] + depths[:, :-1])
        extra = importance_depths(middles, coarse["weights"][:, 1:-1].detach(), self.fine_samples, jitter)
        merged = torch.cat([depths, extra], dim=-1).sort(dim=-1).values
        return coarse, self._shade(self.fine, origins, dirs, merged, noise_std)

    @torch.no_grad()
    def render_image(self, rays, height, width, device, chunk=4096):
        was_training = self.training
        self.eval()
        rgb, depth = [], []
        for o, d in zip(rays[0].split(chunk), rays[1].split(chunk)):
            _, fine = self(o.to(device), d.to(device))
            rgb.append(fine["rgb"].cpu())
            depth.append(fine["depth"].cpu())
        self.train(was_training)
        return torch.cat(rgb).view(height, width, 3).clamp(0, 1), torch.cat(depth).view(height, width)

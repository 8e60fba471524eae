"""Sampling along rays and volume rendering."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from encoding import FieldMLP


def volume_render(color, density, z, ray_norm, white_bkgd=True):
    dists = z[:, 1:] - z[:, :-1]
    dists = torch.cat([dists, torch.full_like(dists[:, :1], 1e10)], dim=-1)
    tau = F.relu(density) * dists * ray_norm
    alpha = 1 - torch.exp(-tau)
    # light that survives up to the sample
    acc = torch.cumsum(tau[:, :-1], dim=-1)
    acc = torch.cat([torch.zeros_like(tau[:, :1]), acc], dim=-1)
    weights = alpha * torch.exp(-acc)

    pixel = (weights[..., None] * color).sum(dim=1)
    depth = (weights * z).sum(dim=-1)
    if white_bkgd:
        pixel = pixel + (1 - weights.sum(dim=-1, keepdim=True))
    return pixel, depth, weights


def sample_uniform(n_rays, near, far, n_samples, perturb, device):
    bins = torch.linspace(near, far, n_samples + 1, device=device)
    lower, upper = bins[:-1], bins[1:]
    t = 0.5
    if perturb:
        t = torch.rand(n_rays, n_samples, device=device)
    return (lower + (upper - lower) * t).expand(n_rays, n_samples)


def sample_pdf(z, weights, n_samples, perturb):
    bins = 0.5 * (z[:, 1:] + z[:, :-1])
    w = weights[:, 1:-1] + 1e-5
    w = w / w.sum(-1, keepdim=True)
    cdf = torch.cumsum(w, dim=-1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], dim=-1)
    n_rays = cdf.shape[0]
    if not perturb:
        u = torch.linspace(0, 1, n_samples, device=cdf.device).repeat(n_rays, 1)
    else:
        u = torch.rand(n_rays, n_samples, device=cdf.device)

    above = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[-1] - 1)
    below = above - 1
    c0 = cdf.gather(-1, below)
    c1 = cdf.gather(-1, above)
    b0 = bins.gather(-1, below)
    b1 = bins.gather(-1, above)
    t = (u - c0) / (c1 - c0).clamp_min(1e-8)
    return b0 + t.clamp(0, 1) * (b1 - b0)


class HierarchicalRenderer(nn.Module):
    def __init__(self, near=2.0, far=6.0, n_samples=64, n_importance=128, white_bkgd=True):
        super().__init__()
        self.near = near
        self.far = far
        self.n_samples = n_samples
        self.n_importance = n_importance
        self.white_bkgd = white_bkgd
        self.coarse_net = FieldMLP()
        self.fine_net = FieldMLP()

    def _march(self, net, rays_o, rays_d, z):
        norm = rays_d.norm(dim=-1, keepdim=True)
        points = rays_o[:, None] + rays_d[:, None] * z[..., None]
        color, density = net(points, rays_d / norm)
        return volume_render(color, density, z, norm, self.white_bkgd)

    def forward(self, rays_o, rays_d):
        z = sample_uniform(len(rays_o), self.near, self.far, self.n_samples,
                           self.training, rays_o.device)
        rgb_coarse, _, weights = self._march(self.coarse_net, rays_o, rays_d, z)

        z_new = sample_pdf(z, weights.detach(), self.n_importance, self.training)
        z, _ = torch.sort(torch.cat([z, z_new], dim=-1), dim=-1)
        rgb_fine, depth, _ = self._march(self.fine_net, rays_o, rays_d, z)
        return rgb_coarse, rgb_fine, depth

    @torch.no_grad()
    def render_view(self, rays_o, rays_d, chunk=8192):
        """Full image and its depth map, computed chunk by chunk."""
        self.eval()
        device = next(self.parameters()).device
        h, w = rays_o.shape[:2]
        flat_o, flat_d = rays_o.reshape(-1, 3), rays_d.reshape(-1, 3)
        rgbs, depths = [], []
        for i in range(0, len(flat_o), chunk):
            _, rgb, depth = self(flat_o[i:i + chunk].to(device), flat_d[i:i + chunk].to(device))
            rgbs.append(rgb.cpu())
            depths.append(depth.cpu())
        return torch.cat(rgbs).reshape(h, w, 3).clamp(0, 1), torch.cat(depths).reshape(h, w)

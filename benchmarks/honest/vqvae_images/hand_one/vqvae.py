"""Convolutional autoencoder with a discrete bottleneck."""
import torch
import torch.nn.functional as F
from torch import nn


class ResBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 1))

    def forward(self, x):
        return x + self.body(x)


class Codebook(nn.Module):
    """Nearest-neighbour quantiser. Codes follow the encoder by moving averages, not by gradient."""

    def __init__(self, size, dim, decay=0.99, dead_below=0.5, eps=1e-5):
        super().__init__()
        self.size, self.decay, self.dead_below, self.eps = size, decay, dead_below, eps
        codes = torch.randn(size, dim)
        self.register_buffer("codes", codes)
        self.register_buffer("usage", torch.ones(size))
        self.register_buffer("sums", codes.clone())

    def nearest(self, flat):
        dist = flat.pow(2).sum(1, keepdim=True) - 2 * flat @ self.codes.t() + self.codes.pow(2).sum(1)
        return dist.argmin(1)

    def lookup(self, index):
        """(B, H, W) indices -> (B, dim, H, W) vectors."""
        return F.embedding(index, self.codes).permute(0, 3, 1, 2)

    @torch.no_grad()
    def update(self, flat, onehot):
        self.usage.lerp_(onehot.sum(0), 1 - self.decay)
        self.sums.lerp_(onehot.t() @ flat, 1 - self.decay)
        total = self.usage.sum()
        smoothed = (self.usage + self.eps) / (total + self.size * self.eps) * total
        self.codes.copy_(self.sums / smoothed.unsqueeze(1))

        dead = (self.usage < self.dead_below).nonzero().squeeze(1)
        if len(dead):
            # move unused codes onto random encoder outputs of this batch
            picks = flat[torch.randint(len(flat), (len(dead),), device=flat.device)]
            self.codes[dead] = picks
            self.sums[dead] = picks
            self.usage[dead] = 1.0
        return len(dead)

    def forward(self, z):
        b, d, h, w = z.shape
        flat = z.detach().permute(0, 2, 3, 1).reshape(-1, d).float()
        index = self.nearest(flat)
        onehot = F.one_hot(index, self.size).float()
        index = index.view(b, h, w)
        quantised = self.lookup(index)
        restarted = self.update(flat, onehot) if self.training else 0

        commitment = F.mse_loss(z, quantised)
        share = onehot.mean(0)
        perplexity = torch.exp(-(share * (share + 1e-10).log()).sum())
        passed = z + (quantised - z).detach()
        return passed, index, commitment, {"perplexity": perplexity.item(), "restarted": restarted}


class VQVAE(nn.Module):
    """Downsamples by four in each direction."""

    def __init__(self, channels=3, width=128, code_dim=64, num_codes=512, blocks=2):
        super().__init__()
        self.config = dict(channels=channels, width=width, code_dim=code_dim,
                           num_codes=num_codes, blocks=blocks)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width // 2, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(width // 2, width, 4, stride=2, padding=1),
            *[ResBlock(width) for _ in range(blocks)],
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, code_dim, 1))
        self.codebook = Codebook(num_codes, code_dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(code_dim, width, 3, padding=1),
            *[ResBlock(width) for _ in range(blocks)],
            nn.GroupNorm(8, width), nn.SiLU(),
            nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(width // 2, channels, 4, stride=2, padding=1))

    def forward(self, x):
        z, _, commitment, info = self.codebook(self.encoder(x))
        return self.decoder(z), commitment, info

    @torch.no_grad()
    def encode(self, x):
        z = self.encoder(x)
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        return self.codebook.nearest(flat).view(len(x), *z.shape[2:])

    @torch.no_grad()
    def decode(self, index):
        return self.decoder(self.codebook.lookup(index)).clamp(-1, 1)

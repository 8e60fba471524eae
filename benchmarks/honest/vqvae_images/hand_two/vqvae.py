"""Vector-quantised autoencoder for small images."""
import torch
import torch.nn.functional as F
from torch import nn


class ResBlock(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, hidden, 3, padding=1),
            nn.ReLU(), nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x):
        return x + self.body(x)


def make_encoder(channels, width, code_dim, blocks):
    """Reduces the resolution by four."""
    return nn.Sequential(
        nn.Conv2d(channels, width // 2, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(width // 2, width, 4, stride=2, padding=1),
        *[ResBlock(width, width // 2) for _ in range(blocks)],
        nn.ReLU(), nn.Conv2d(width, code_dim, 1),
    )


def make_decoder(channels, width, code_dim, blocks):
    return nn.Sequential(
        nn.Conv2d(code_dim, width, 3, padding=1),
        *[ResBlock(width, width // 2) for _ in range(blocks)], nn.ReLU(),
        nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(width // 2, channels, 4, stride=2, padding=1),
    )


class Codebook(nn.Module):
    """Nearest-neighbour quantiser whose entries follow running means of their members."""

    def __init__(self, size, dim, decay=0.99, eps=1e-5, dead_below=0.5):
        super().__init__()
        self.size, self.dim = size, dim
        self.decay, self.eps, self.dead_below = decay, eps, dead_below
        init = torch.randn(size, dim)
        self.register_buffer("codes", init)
        self.register_buffer("usage", torch.ones(size))
        self.register_buffer("sums", init.clone())
        self.register_buffer("initialised", torch.tensor(False))

    def lookup(self, indices):
        """(B, H, W) indices -> (B, dim, H, W) vectors."""
        return F.embedding(indices, self.codes).permute(0, 3, 1, 2).contiguous()

    def draw(self, flat, n):
        pick = torch.randint(0, flat.size(0), (n,), device=flat.device)
        return flat[pick]

    @torch.no_grad()
    def seed_from(self, flat):
        self.codes.copy_(self.draw(flat, self.size))
        self.sums.copy_(self.codes)
        self.initialised.fill_(True)

    @torch.no_grad()
    def update(self, flat, onehot):
        self.usage.lerp_(onehot.sum(0), 1 - self.decay)
        self.sums.lerp_(onehot.t() @ flat, 1 - self.decay)
        total = self.usage.sum()
        smoothed = (self.usage + self.eps) / (total + self.size * self.eps) * total
        self.codes.copy_(self.sums / smoothed.unsqueeze(1))

        dead = (self.usage < self.dead_below).nonzero().flatten()
        if len(dead):
            fresh = self.draw(flat, len(dead))
            self.codes[dead] = fresh
            self.sums[dead] = fresh
            self.usage[dead] = 1.0
        return len(dead)

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, self.dim).float()
        if self.training and not self.initialised:
            self.seed_from(flat.detach())
        dist = flat.detach().pow(2).sum(1, keepdim=True) - 2 * flat.detach() @ self.codes.t() \
            + self.codes.pow(2).sum(1)
        nearest = dist.argmin(1)
        onehot = F.one_hot(nearest, self.size).float()
        indices = nearest.view(z.size(0), z.size(2), z.size(3))
        quantised = self.lookup(indices)
        commitment = F.mse_loss(z, quantised)
        restarted = self.update(flat.detach(), onehot) if self.training else 0

        freq = onehot.mean(0)
        perplexity = torch.exp(-(freq * (freq + 1e-10).log()).sum())
        straight_through = z + (quantised - z).detach()
        stats = {"perplexity": perplexity.item(), "restarted": restarted}
        return straight_through, indices, commitment, stats


class VQVAE(nn.Module):
    def __init__(self, channels=3, width=128, code_dim=64, num_codes=512, blocks=2):
        super().__init__()
        self.config = dict(channels=channels, width=width, code_dim=code_dim,
                           num_codes=num_codes, blocks=blocks)
        self.encoder = make_encoder(channels, width, code_dim, blocks)
        self.codebook = Codebook(num_codes, code_dim)
        self.decoder = make_decoder(channels, width, code_dim, blocks)

    def forward(self, x):
        z, _, commitment, stats = self.codebook(self.encoder(x))
        return self.decoder(z), commitment, stats

    @torch.no_grad()
    def encode(self, x):
        return self.codebook(self.encoder(x))[1]

    @torch.no_grad()
    def decode(self, indices):
        return self.decoder(self.codebook.lookup(indices))

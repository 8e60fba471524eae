import torch
import torch.nn as nn
import torch.nn.functional as F


class FourierEmbedding(nn.Module):
    def __init__(self, n_freqs):
        super().__init__()
        self.dim = 3 + 6 * n_freqs
        self.register_buffer("bands", 2.0 ** torch.arange(n_freqs), persistent=False)

    def forward(self, x):
        xb = (x[..., None, :] * self.bands[:, None]).flatten(-2)
        return torch.cat([x, torch.sin(xb), torch.cos(xb)], dim=-1)


class FieldMLP(nn.Module):
    """Maps positions and view directions to color and density."""

    def __init__(self, n_layers=8, hidden=256, skip=4, xyz_freqs=10, view_freqs=4):
        super().__init__()
        self.skip = skip
        self.embed_xyz = FourierEmbedding(xyz_freqs)
        self.embed_view = FourierEmbedding(view_freqs)
        in_dim = self.embed_xyz.dim

        layers = [nn.Linear(in_dim, hidden)]
        for i in range(1, n_layers):
            if i == skip + 1:
                layers.append(nn.Linear(hidden + in_dim, hidden))
            else:
                layers.append(nn.Linear(hidden, hidden))
        self.layers = nn.ModuleList(layers)
        self.density = nn.Linear(hidden, 1)
        self.bottleneck = nn.Linear(hidden, hidden)
        self.rgb = nn.Sequential(
            nn.Linear(hidden + self.embed_view.dim, hidden // 2),
            nn.ReLU(),
            nn.Linear(hidden // 2, 3),
            nn.Sigmoid(),
        )

    def forward(self, xyz, views):
        emb = self.embed_xyz(xyz)
        h = emb
        for i, layer in enumerate(self.layers):
            if i == self.skip + 1:
                h = torch.cat([emb, h], dim=-1)
            h = F.relu(layer(h))
        density = self.density(h).squeeze(-1)
        v = self.embed_view(views)[:, None].expand(-1, xyz.shape[1], -1)
        color = self.rgb(torch.cat([self.bottleneck(h), v], dim=-1))
        return color, density

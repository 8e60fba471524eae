# The visual bridge between picture crops and the decoder.
from __future__ import annotations

from dataclasses import dataclass

from torch import nn, Tensor
import torch
import torch.nn.functional as nnf


@dataclass(frozen=True)
class BridgeSettings:
    unit: int = 14
    img_width: int = 768
    llm_width: int = 2048
    n_heads: int = 16
    latent_edge: int = 8
    n_blocks: int = 1
    expand: float = 2.0

    @property
    def n_latents(self) -> int:
        # the latents make a square
        return self.latent_edge**2


def wave_code_line(where: Tensor, *, width: int, period: float = 10_000.0) -> Tensor:
    mid = width // 2
    power = torch.arange(mid, device=where.device, dtype=torch.float32) / mid
    rates = period**-power
    phase = where.float()[:, None] * rates[None, :]
    return torch.cat([phase.sin(), phase.cos()], dim=1)


def wave_code_plane(
    *, n_y: int, n_x: int, width: int, device: torch.device | None = None
) -> Tensor:
    """Position codes for all cells of an n_y by n_x plane, flattened."""
    if width % 4 != 0:
        raise ValueError(f'width not divisible by four: {width}')
    code_y = wave_code_line(torch.arange(n_y, device=device), width=width // 2)
    code_x = wave_code_line(torch.arange(n_x, device=device), width=width // 2)
    code_y = code_y[:, None, :].expand(n_y, n_x, width // 2)
    code_x = code_x[None, :, :].expand(n_y, n_x, width // 2)
    return torch.cat([code_y, code_x], dim=-1).reshape(n_y * n_x, width)


@dataclass
class CropTokens:
    feats: Tensor
    codes: Tensor
    present: Tensor


class UnitEncoder(nn.Module):
    """Turns crops into sequences of unit vectors."""

    def __init__(self, settings: BridgeSettings) -> None:
        super().__init__()
        self.unit = settings.unit
        self.width = settings.img_width
        self.lift = nn.Linear(
            out_features=settings.img_width, in_features=3 * settings.unit**2
        )
        self.ln = nn.LayerNorm(settings.img_width)

    def to_units(self, crop: Tensor) -> Tensor:
        u = self.unit
        ch, px_h, px_w = crop.shape
        n_y, n_x = px_h // u, px_w // u
        units = crop.reshape(ch, n_y, u, n_x, u)
        units = units.permute(1, 3, 0, 2, 4)
        return units.reshape(n_y * n_x, ch * u * u)

    def forward(self, crops: list[Tensor]) -> CropTokens:
        feats, codes = [], []
        for crop in crops:
            n_y, n_x = crop.shape[1] // self.unit, crop.shape[2] // self.unit
            feats.append(self.ln(self.lift(self.to_units(crop))))
            codes.append(
                wave_code_plane(width=self.width, n_x=n_x, n_y=n_y, device=crop.device)
            )
        sizes = torch.tensor([len(f) for f in feats], device=feats[0].device)
        ticks = torch.arange(int(sizes.max()), device=sizes.device)
        return CropTokens(
            present=ticks[None, :] < sizes[:, None],
            codes=nn.utils.rnn.pad_sequence(codes, batch_first=True),
            feats=nn.utils.rnn.pad_sequence(feats, batch_first=True),
        )


class Reader(nn.Module):
    """Latents read from the crop's units."""

    def __init__(self, *, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.per_head = width // n_heads
        self.ask = nn.Linear(width, width)
        self.tag = nn.Linear(width, width)
        self.content = nn.Linear(width, width)
        self.merge = nn.Linear(width, width)

    def per_head_view(self, t: Tensor) -> Tensor:
        n, s, _ = t.shape
        return t.reshape(n, s, self.n_heads, self.per_head).transpose(1, 2)

    def forward(
        self, *, asker: Tensor, tags: Tensor, contents: Tensor, present: Tensor
    ) -> Tensor:
        a = self.per_head_view(self.ask(asker))
        t = self.per_head_view(self.tag(tags))
        c = self.per_head_view(self.content(contents))
        got = nnf.scaled_dot_product_attention(
            a, t, c, attn_mask=present[:, None, None, :]
        )
        n, _, s, _ = got.shape
        got = got.transpose(1, 2).reshape(n, s, self.n_heads * self.per_head)
        return self.merge(got)


class LatentBlock(nn.Module):
    def __init__(self, settings: BridgeSettings) -> None:
        super().__init__()
        width = settings.llm_width
        inner = int(width * settings.expand)
        self.ln_read = nn.LayerNorm(width)
        self.read = Reader(n_heads=settings.n_heads, width=width)
        self.ln_think = nn.LayerNorm(width)
        self.think = nn.Sequential(
            nn.Linear(width, inner),
            nn.GELU(),
            nn.Linear(inner, width),
        )

    def forward(
        self,
        z: Tensor,
        *,
        latent_code: Tensor,
        units: Tensor,
        unit_code: Tensor,
        present: Tensor,
    ) -> Tensor:
        z = z + self.read(
            present=present,
            contents=units,
            tags=units + unit_code,
            asker=self.ln_read(z) + latent_code,
        )
        return z + self.think(self.ln_think(z))


class LatentReader(nn.Module):
    """Any number of units in, n_latents vectors out."""

    latent_code: Tensor

    def __init__(self, settings: BridgeSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.llm_width
        self.widen = nn.Linear(settings.img_width, width, bias=False)
        self.ln_in = nn.LayerNorm(width)
        self.widen_code = nn.Linear(settings.img_width, width, bias=False)
        self.latents = nn.Parameter(0.02 * torch.randn(settings.n_latents, width))
        latent_code = wave_code_plane(
            width=width, n_x=settings.latent_edge, n_y=settings.latent_edge
        )
        self.register_buffer('latent_code', latent_code, persistent=False)
        self.stack = nn.ModuleList([LatentBlock(settings) for _ in range(settings.n_blocks)])
        self.ln_out = nn.LayerNorm(width)
        self.final = nn.Linear(width, width)

    def forward(self, crops: CropTokens) -> Tensor:
        units = self.ln_in(self.widen(crops.feats))
        unit_code = self.widen_code(crops.codes)
        z = self.latents.unsqueeze(0).expand(units.shape[0], -1, -1)
        for layer in self.stack:
            z = layer(
                z,
                present=crops.present,
                unit_code=unit_code,
                units=units,
                latent_code=self.latent_code,
            )
        return self.final(self.ln_out(z))


class VisualBridge(nn.Module):
    def __init__(self, settings: BridgeSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or BridgeSettings()
        self.encode = UnitEncoder(self.settings)
        self.read_out = LatentReader(self.settings)

    def forward(self, crops: list[Tensor]) -> Tensor:
        return self.read_out(self.encode(crops))

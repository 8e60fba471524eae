# The whole density model: takes images apart into noise at several resolutions, scores them
# exactly, and puts them together again.
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from bijections import (
    ChannelAffine,
    ChannelMixer,
    HalfAffine,
    SilentConv,
    fold,
    unfold,
)


class PixelCodec:
    # Makes byte images continuous (plain shift by default, log-odds on request) and bytes again.

    def __init__(self, depth=8, log_odds=False, margin=0.05):
        self.depth, self.log_odds, self.margin = depth, log_odds, margin

    def soften(self, raw, jitter=True):
        bins = 2 ** self.depth
        t = torch.floor(raw.float() / 2 ** (8 - self.depth))
        t = (t + (torch.rand_like(t) if jitter else 0.5)) / bins
        volume = torch.full(
            (len(t),),
            -math.log(bins) * t[0].numel(),
            device=t.device,
        )
        if not self.log_odds:
            return t - 0.5, volume
        q = self.margin + (1 - 2 * self.margin) * t
        out = torch.log(q) - torch.log1p(-q)
        steepness = (
            math.log(1 - 2 * self.margin)
            + F.softplus(out)
            + F.softplus(-out)
        )
        return out, volume + steepness.flatten(1).sum(1)

    def harden(self, out):
        # Rounds down into bins and rescales to the byte range.
        t = (
            (torch.sigmoid(out) - self.margin) / (1 - 2 * self.margin)
            if self.log_odds
            else out + 0.5
        )
        bins = 2 ** self.depth
        t = torch.floor(t * bins).clamp(0, bins - 1)
        return (t * 2 ** (8 - self.depth)).to(torch.uint8)


class Ripple(nn.Module):
    def __init__(self, width, inner, decomposed):
        super().__init__()
        self.pieces = nn.ModuleList(
            [
                ChannelAffine(width),
                ChannelMixer(width, decomposed),
                HalfAffine(width, inner),
            ]
        )

    def forward(self, t):
        accumulated = 0.0
        for piece in self.pieces:
            t, volume = piece(t)
            accumulated = accumulated + volume
        return t, accumulated

    def undo(self, out):
        for piece in reversed(self.pieces):
            out = piece.undo(out)
        return out


class NoiseModel(nn.Module):
    # Independent normals for the variables that leave; mean and spread may look at the variables
    # that go on. What is stored is whitened, hence the spread is counted in the density.

    def __init__(self, width, informed):
        super().__init__()
        self.width = width
        self.subnet = SilentConv(width, 2 * width)
        self.informed = informed

    def moments(self, hint):
        return self.subnet(
            hint if self.informed else torch.zeros_like(hint)
        ).chunk(2, 1)

    def whiten(self, code, hint):
        mu, ln_sigma = self.moments(hint)
        white = (code - mu) * torch.exp(-ln_sigma)
        density = -0.5 * (white.square() + math.log(2 * math.pi)) - ln_sigma
        return white, density.flatten(1).sum(1)

    def colour(self, white, hint):
        mu, ln_sigma = self.moments(hint)
        return mu + white * ln_sigma.exp()


class Rivulet(nn.Module):
    def __init__(
        self,
        image_dims=(3, 32, 32),
        scales=3,
        ripples=16,
        inner=256,
        decomposed=True,
        depth=8,
        log_odds=False,
    ):
        super().__init__()
        ch, rows, cols = image_dims
        if rows % 2 ** scales or cols % 2 ** scales:
            raise ValueError(f'{rows}x{cols} cannot be halved {scales} times')
        self.nats_to_bpd = 1 / (math.log(2) * ch * rows * cols)
        self.codec = PixelCodec(depth, log_odds)
        self.scales, self.noise_models = nn.ModuleList(), nn.ModuleList()
        self.code_dims = []
        for k in range(scales):
            ch, rows, cols = ch * 4, rows // 2, cols // 2
            self.scales.append(
                nn.ModuleList(
                    Ripple(ch, inner, decomposed) for _ in range(ripples)
                )
            )
            deepest = k == scales - 1
            if not deepest:
                ch //= 2
            self.noise_models.append(NoiseModel(ch, informed=not deepest))
            self.code_dims.append((ch, rows, cols))

    def analyse(self, raw, jitter=True):
        # White noise for each resolution (largest map first) plus the image's log density.
        t, density = self.codec.soften(raw, jitter)
        codes = []
        for scale, noise_model in zip(self.scales, self.noise_models):
            t = fold(t)
            for ripple in scale:
                t, volume = ripple(t)
                density = density + volume
            t, code = t.chunk(2, dim=1) if noise_model.informed else (t, t)
            white, part = noise_model.whiten(code, t)
            codes.append(white)
            density = density + part
        return codes, density

    def forward(self, raw):
        # Cost per image in bits for each colour value.
        return -self.analyse(raw)[1] * self.nats_to_bpd

    @torch.no_grad()
    def synthesise(self, codes):
        t = None
        for scale, noise_model, white in zip(
            reversed(self.scales),
            reversed(self.noise_models),
            reversed(codes),
        ):
            if noise_model.informed:
                t = torch.cat([t, noise_model.colour(white, t)], dim=1)
            else:
                t = noise_model.colour(white, white)
            for ripple in reversed(scale):
                t = ripple.undo(t)
            t = unfold(t)
        return self.codec.harden(t)

    def dream(self, how_many, heat=0.7):
        where = next(self.parameters()).device
        return self.synthesise(
            [
                heat * torch.randn(how_many, *dims, device=where)
                for dims in self.code_dims
            ]
        )

    @torch.no_grad()
    def morph(self, start, end, frames=8):
        # Blends the noise of two byte images in equal strides and renders each blend.
        codes, _ = self.analyse(torch.stack([start, end]), jitter=False)
        mix = torch.linspace(
            0,
            1,
            frames,
            device=start.device,
        ).view(-1, 1, 1, 1)
        return self.synthesise(
            [(1 - mix) * code[:1] + mix * code[1:] for code in codes]
        )

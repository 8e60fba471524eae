# Glowworm keeps one tensor per *kind* of matrix, stacked over the depth of the network,
# so that the whole thing is a short table of shapes and a loop.
import torch
from torch import nn

SHAPE = {
    "vocabulary": 32000, "channels": 512, "depth": 8, "readers": 8, "sources": 2,
    "wide": 1408, "horizon": 1024, "wavelength": 10000.0, "floor": 1e-5,
}


def matrix_table(s):
    """kind -> (how many, rows out, columns in)"""
    d, c, w = s["depth"], s["channels"], s["wide"]
    narrow = c // s["readers"] * s["sources"]
    return {
        "ask": (d, c, c), "index": (d, narrow, c), "content": (d, narrow, c), "mix": (d, c, c),
        "valve": (d, w, c), "lift": (d, w, c), "sink": (d, c, w),
        "spell": (1, s["vocabulary"], c),
    }


class Scratchpad:
    """Room for every index and content vector of a conversation, allotted beforehand."""

    def __init__(self, shape, rows=1, device=None):
        size = (shape["depth"], rows, shape["horizon"], shape["sources"],
                shape["channels"] // shape["readers"])
        self.index = torch.zeros(size, device=device)
        self.content = torch.zeros(size, device=device)
        self.used = 0

    def write(self, level, index, content):
        stop = self.used + index.shape[1]
        self.index[level, :, self.used:stop] = index
        self.content[level, :, self.used:stop] = content
        return self.index[level, :, :stop], self.content[level, :, :stop]


class Glowworm(nn.Module):
    def __init__(self, **changes):
        super().__init__()
        self.shape = s = {**SHAPE, **changes}
        if s["readers"] % s["sources"] != 0:
            raise AssertionError("every source needs the same number of readers")
        self.glyphs = nn.Parameter(torch.randn(s["vocabulary"], s["channels"]) * 0.02)
        self.matrices = nn.ParameterDict(
            {kind: torch.randn(size) * 0.02 for kind, size in matrix_table(s).items()})
        # rows 2n and 2n + 1 belong to level n, the last row to the exit
        self.gains = nn.Parameter(torch.ones(2 * s["depth"] + 1, s["channels"]))
        self.overlay = None

        size = s["channels"] // s["readers"]
        turns = torch.logspace(0, 2 / size - 1, size // 2, base=s["wavelength"])
        angle = torch.einsum("t,f->tf", torch.arange(float(s["horizon"])), turns)
        self.register_buffer("phasor", torch.polar(torch.ones_like(angle), angle)[:, None],
                             persistent=False)

    def times(self, kind, level, x):
        y = torch.einsum("btc,oc->bto", x, self.matrices[kind][level])
        if self.overlay is None:
            return y
        return y + self.overlay.contribution(kind, level, x)

    def level_out(self, row, x):
        precise = x.float()
        length = torch.linalg.vector_norm(precise, dim=-1, keepdim=True)
        mean_square = length ** 2 / x.shape[-1]
        return (precise * (mean_square + self.shape["floor"]) ** -0.5).to(x.dtype) * self.gains[row]

    def spin(self, x, first):
        re, im = x.float().tensor_split(2, dim=-1)
        z = torch.complex(re.contiguous(), im.contiguous())
        z = z * self.phasor[first:first + x.shape[1]]
        return torch.cat((z.real, z.imag), dim=-1).to(x.dtype)

    def consult(self, level, x, first, hidden, pad):
        b, t, _ = x.shape
        sources = self.shape["sources"]
        size = self.shape["channels"] // self.shape["readers"]
        ask = self.spin(self.times("ask", level, x).view(b, t, -1, size), first)
        index = self.spin(self.times("index", level, x).view(b, t, sources, size), first)
        content = self.times("content", level, x).view(b, t, sources, size)
        if pad is not None:
            index, content = pad.write(level, index, content)
        ask = ask.view(b, t, sources, -1, size) * size ** -0.5
        match = torch.einsum("btgrd,bsgd->bgrts", ask, index).float()
        share = torch.exp(match.masked_fill(hidden, float("-inf")).log_softmax(-1))
        found = torch.einsum("bgrts,bsgd->btgrd", share.to(content.dtype), content)
        return self.times("mix", level, found.reshape(b, t, -1))

    def digest(self, level, x):
        valve = self.times("valve", level, x)
        return self.times("sink", level, valve * valve.sigmoid() * self.times("lift", level, x))

    def forward(self, tokens, lengths=None, pad=None):
        first = 0 if pad is None else pad.used
        now = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        then = torch.arange(first + tokens.shape[1], device=tokens.device)
        hidden = (then > now.unsqueeze(1)).expand(1, 1, 1, -1, -1)
        if lengths is not None:
            hidden = hidden | (then >= lengths.view(-1, 1, 1, 1, 1))
        x = self.glyphs[tokens]
        for level in range(self.shape["depth"]):
            x = x + self.consult(level, self.level_out(2 * level, x), first, hidden, pad)
            x = x + self.digest(level, self.level_out(2 * level + 1, x))
        if pad is not None:
            pad.used += tokens.shape[1]
        return self.times("spell", 0, self.level_out(-1, x))


def wake(file=None, **changes):
    worm = Glowworm(**changes)
    if file:
        worm.load_state_dict(torch.load(file, map_location="cpu"))
    return worm

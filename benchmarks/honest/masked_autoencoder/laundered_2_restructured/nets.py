"""The three networks: Reader (encoder), Veilview (reader and writer) and Sorter (reader and class head)."""
import torch
from torch import nn

from cells import draw_order, pick, to_cells, veiled_error, wave_2d


class TokenStack(nn.Module):
    """What reader and writer share: an extra token, place codes, a way in and a run of layers."""

    def __init__(self, inputs, shape, options):
        super().__init__()
        self.entry = nn.Linear(inputs, shape.features)
        self.extra_tok = nn.Parameter(torch.empty(1, 1, shape.features))
        self.register_buffer("places", wave_2d(options.per_side, shape.features), persistent=False)
        self.layers = nn.ModuleList()
        while len(self.layers) < shape.length:
            self.layers.append(nn.TransformerEncoderLayer(
                d_model=shape.features, nhead=shape.heads,
                dim_feedforward=int(options.widen * shape.features),
                activation=nn.functional.gelu, norm_first=True, batch_first=True,
                dropout=0.0, layer_norm_eps=1e-6))
        self.closing = nn.LayerNorm(shape.features, eps=1e-6)

    def start_weights(self):
        for part in self.modules():
            if not isinstance(part, nn.Linear):
                continue
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.constant_(part.bias, 0.0)
        nn.init.normal_(self.extra_tok, mean=0.0, std=0.02)

    def think(self, tokens):
        for layer in self.layers:
            tokens = layer(tokens)
        return self.closing(tokens)


class Reader(TokenStack):
    def __init__(self, options):
        super().__init__(options.cell_values, options.reader, options)
        self.cell = options.cell
        self.start_weights()

    def place(self, pics):
        return self.places[:, 1:] + self.entry(to_cells(self.cell, pics))

    def finish(self, tokens):
        first = self.extra_tok + self.places[:, :1]
        return self.think(torch.cat((first.repeat(len(tokens), 1, 1), tokens), dim=1))

    def forward(self, pics):
        return self.finish(self.place(pics))

    def peek(self, veil, pics):
        """Read only part of the cells; also says where each cell went and which are veiled (1.0)."""
        tokens = self.place(pics)
        batch, count = tokens.shape[:2]
        if veil <= 0:
            return self.finish(tokens), None, None
        order, back = draw_order(batch, count, tokens.device)
        kept = int((1 - veil) * count) or 1
        veiled = back.ge(kept).to(torch.float32)
        return self.finish(pick(tokens, order[:, :kept])), back, veiled


class Writer(TokenStack):
    def __init__(self, options):
        super().__init__(options.reader.features, options.writer, options)
        self.exit = nn.Linear(options.writer.features, options.cell_values)
        self.start_weights()

    def forward(self, back, read):
        first, known = self.entry(read).split((1, read.size(1) - 1), dim=1)
        missing = back.size(1) - known.size(1)
        filler = self.extra_tok.type_as(known).repeat(known.size(0), missing, 1)
        cells = pick(torch.cat((known, filler), dim=1), back)
        tokens = self.think(self.places + torch.cat((first, cells), dim=1))
        return self.exit(tokens).narrow(1, 1, back.size(1))


class Veilview(nn.Module):
    def __init__(self, options):
        super().__init__()
        self.reader, self.writer = Reader(options), Writer(options)
        self.options = options

    def paint(self, pics):
        read, back, veiled = self.reader.peek(self.options.veil, pics)
        return self.writer(back, read), veiled

    def forward(self, pics):
        painted, veiled = self.paint(pics)
        return veiled_error(self.options, pics, painted, veiled)


class Sorter(nn.Module):
    def __init__(self, kinds, options):
        super().__init__()
        self.reader = Reader(options)
        self.verdict = nn.Linear(options.reader.features, kinds)
        nn.init.constant_(self.verdict.bias, 0.0)
        nn.init.trunc_normal_(self.verdict.weight, mean=0.0, std=0.01)

    def adopt(self, weights):
        """Take the reader out of a Veilview state."""
        mine = {}
        for key, value in weights.items():
            owner, _, rest = key.partition(".")
            if owner == "reader":
                mine[rest] = value
        self.reader.load_state_dict(mine)

    def freeze(self):
        """Turn into a linear probe: the reader stands still, the verdict sees whitened features."""
        for weight in self.reader.parameters():
            weight.requires_grad = False
        self.verdict = nn.Sequential(nn.BatchNorm1d(self.verdict.in_features, affine=False), self.verdict)

    def forward(self, pics):
        cells = self.reader(pics)[:, 1:]
        return self.verdict(torch.mean(cells, 1))

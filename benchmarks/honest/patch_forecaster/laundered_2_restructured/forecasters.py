"""Networks from (batch, n_in, columns) to (batch, n_out, columns, levels)."""
import torch
from torch import Tensor, nn
from torch.nn import functional

from config import Config

TINY = 1e-5


class Forecaster(nn.Module):
    """Common base: knows the output shape and works on one row per column."""

    def __init__(self, n_out: int, n_levels: int):
        super().__init__()
        self.out_shape = (n_out, n_levels)

    @property
    def out_size(self) -> int:
        n_out, n_levels = self.out_shape
        return n_out * n_levels

    def arrange(self, flat: Tensor, batch: int) -> Tensor:
        """(batch, columns, n_out * levels), possibly with the first two merged, to the final layout."""
        return flat.reshape(batch, -1, *self.out_shape).permute(0, 2, 1, 3)


def edge_pad(series: Tensor, before: int, after: int) -> Tensor:
    """Lengthen the last axis by repeating its first and last value."""
    head = series[..., :1].expand(*series.shape[:-1], before)
    tail = series[..., -1:].expand(*series.shape[:-1], after)
    return torch.cat([head, series, tail], dim=-1)


def window_stats(x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        variance, level = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return level, torch.sqrt(variance + TINY)


def transformer(width: int, heads: int, layers: int, p_drop: float) -> nn.TransformerEncoder:
    block = nn.TransformerEncoderLayer(
        d_model=width,
        nhead=heads,
        dim_feedforward=width * 2,
        dropout=p_drop,
        activation=functional.gelu,
        norm_first=True,
        batch_first=True,
    )
    return nn.TransformerEncoder(block, num_layers=layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)


class AttentionForecaster(Forecaster):
    def __init__(self, n_in: int, n_out: int, n_columns: int, n_levels: int, *, chunk: int = 16, chunk_step: int = 8,
                 d_model: int = 128, n_heads: int = 8, n_layers: int = 3, p_drop: float = 0.2,
                 reduce: str = "concat"):
        super().__init__(n_out, n_levels)
        if chunk > n_in:
            raise ValueError("a chunk is longer than the whole input")
        whole_steps, rest = divmod(n_in - chunk, chunk_step)
        self.missing = chunk_step - rest if rest else 0
        n_chunks = whole_steps + 1 + (rest > 0)
        begins = torch.arange(n_chunks).unsqueeze(1) * chunk_step
        self.register_buffer("picks", begins + torch.arange(chunk), persistent=False)

        self.gain = nn.Parameter(torch.ones(n_columns))
        self.offset = nn.Parameter(torch.zeros(n_columns))
        self.project = nn.Linear(chunk, d_model)
        self.where = nn.Parameter(torch.empty(1, n_chunks, d_model).normal_(std=0.02))
        self.body = transformer(d_model, n_heads, n_layers, p_drop)
        self.drop = nn.Dropout(p_drop)
        self.average = reduce == "mean"
        features = d_model if self.average else n_chunks * d_model
        self.out = nn.Linear(features, self.out_size)

    def chunks(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1).flatten(0, 1)
        return edge_pad(rows, 0, self.missing)[:, self.picks]

    def summarise(self, tokens: Tensor) -> Tensor:
        if self.average:
            return torch.mean(tokens, 1)
        return torch.flatten(tokens, start_dim=1)

    def forward(self, x: Tensor) -> Tensor:
        level, spread = window_stats(x)
        normal = torch.addcmul(self.offset, (x - level) / spread, self.gain)

        tokens = self.drop(self.where + self.project(self.chunks(normal)))
        features = self.drop(self.summarise(self.body(tokens)))
        normal_out = self.arrange(self.out(features), x.size(0))

        undone = (normal_out - self.offset[:, None]) / (TINY + self.gain[:, None])
        return torch.addcmul(level[..., None], undone, spread[..., None])


class LinearForecaster(Forecaster):
    """One map for the smoothed input, another for the rest; both shared between columns."""

    def __init__(self, n_in: int, n_out: int, n_levels: int = 1, window: int = 25):
        super().__init__(n_out, n_levels)
        self.window = window
        self.maps = nn.ModuleDict({part: nn.Linear(n_in, self.out_size) for part in ("smooth", "rest")})

    def decompose(self, rows: Tensor) -> dict[str, Tensor]:
        before = (self.window - 1) // 2
        padded = edge_pad(rows, before, self.window - before - 1)
        smooth = padded.unfold(-1, self.window, 1).mean(dim=-1)
        return {"smooth": smooth, "rest": rows - smooth}

    def forward(self, x: Tensor) -> Tensor:
        parts = self.decompose(x.permute(0, 2, 1))
        return self.arrange(sum(self.maps[name](part) for name, part in parts.items()), x.size(0))


class RepeatForecaster(Forecaster):
    """The latest period over and over again."""

    def __init__(self, n_out: int, n_levels: int, period: int):
        super().__init__(n_out, n_levels)
        self.period = period

    def forward(self, x: Tensor) -> Tensor:
        n_out, n_levels = self.out_shape
        period = min(self.period, x.size(1))
        copies = -(-n_out // period)
        tiled = x[:, x.size(1) - period:].repeat(1, copies, 1)[:, :n_out]
        return tiled[..., None].repeat(1, 1, 1, n_levels)


def create(arch: str, cfg: Config, n_columns: int) -> Forecaster:
    n_levels = len(cfg.active_levels)
    makers = {
        "repeat": lambda: RepeatForecaster(cfg.n_out, n_levels, cfg.period),
        "linear": lambda: LinearForecaster(cfg.n_in, cfg.n_out, n_levels),
        "attention": lambda: AttentionForecaster(
            cfg.n_in, cfg.n_out, n_columns, n_levels, chunk=cfg.chunk, chunk_step=cfg.chunk_step,
            d_model=cfg.d_model, n_heads=cfg.n_heads, n_layers=cfg.n_layers, p_drop=cfg.p_drop, reduce=cfg.reduce,
        ),
    }
    return makers[arch]()

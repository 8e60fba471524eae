"""Pure functions: pixels and a weight table in, numbers out."""
from functools import lru_cache, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from blueprint import EYE, HAND, Plan, Tower

Table = dict[str, Tensor]


@lru_cache(maxsize=None)
def compass(width: int, across: int, where: str) -> Tensor:
    """Code of every tile as points on unit circles, line number first; row 0 is the spare token's (nothing)."""
    quarter, odd = divmod(width, 4)
    if odd:
        raise ValueError(f"a width of {width} has no quarter")
    speed = torch.logspace(0, -4, quarter + 1, dtype=torch.float64)[:quarter]
    turn = torch.outer(torch.arange(across, dtype=torch.float64), speed)
    circle = torch.polar(torch.ones_like(turn), turn)
    single = torch.hstack([circle.imag, circle.real])
    places = torch.cartesian_prod(torch.arange(across), torch.arange(across))
    return F.pad(single[places].flatten(1), (0, 0, 1, 0)).float().to(where)


def shred(plan: Plan, pixels: Tensor) -> Tensor:
    return F.unfold(pixels, plan.tile, stride=plan.tile).mT


def mend(plan: Plan, shreds: Tensor) -> Tensor:
    return F.fold(shreds.mT, plan.edge, plan.tile, stride=plan.tile)


def light(shreds: Tensor) -> tuple[Tensor, Tensor]:
    """Brightness and contrast of each tile (the sample variance, lifted by a millionth)."""
    mean = shreds.sum(-1, keepdim=True) / shreds.shape[-1]
    power = (shreds - mean).square().sum(-1, keepdim=True) / (shreds.shape[-1] - 1)
    return mean, (power + 1e-6) ** 0.5


def deal(plan: Plan, many: int, where: str) -> tuple[Tensor, Tensor]:
    """Deal the tile numbers of each picture into two hands: those shown and those kept back."""
    deck = torch.multinomial(torch.ones(many, plan.tiles, device=where), plan.tiles)
    return deck[:, :plan.shown], deck[:, plan.shown:]


def rows(source: Tensor, numbers: Tensor) -> Tensor:
    """source[b, numbers[b]] for every b; a source without a batch serves all."""
    if source.ndim == 2:
        return source[numbers]
    batch = torch.arange(len(numbers), device=numbers.device)
    return source[batch[:, None], numbers]


def _affine(table: Table, name: str, h: Tensor) -> Tensor:
    return F.linear(h, table[name + "/w"], table[name + "/b"])


def _calm(table: Table, name: str, h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:], table[name + "/w"], table[name + "/b"], 1e-6)


def _storey(table: Table, name: str, heads: int, h: Tensor) -> Tensor:
    asked = _affine(table, f"{name}/ask", _calm(table, f"{name}/calm1", h))
    query, key, value = asked.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    heard = F.scaled_dot_product_attention(query, key, value)
    h = h + _affine(table, f"{name}/tell", heard.transpose(1, 2).flatten(2))
    swollen = F.gelu(_affine(table, f"{name}/swell", _calm(table, f"{name}/calm2", h)))
    return h + _affine(table, f"{name}/press", swollen)


def climb(table: Table, tower: Tower, h: Tensor) -> Tensor:
    top = reduce(lambda at, n: _storey(table, f"{tower.name}/{n}", tower.heads, at), range(tower.storeys), h)
    return _calm(table, f"{tower.name}/roof", top)


def look(plan: Plan, table: Table, shreds: Tensor, shown: Tensor | None = None) -> Tensor:
    """The eye: token 0 is the spare one, the others belong to the tiles numbered by `shown` (or to all)."""
    code = compass(EYE.width, plan.across, str(shreds.device))
    places = code[1:]
    if shown is not None:
        shreds, places = rows(shreds, shown), rows(places, shown)
    seen = _affine(table, "eye/door", shreds) + places
    spare = (table["eye/spare"] + code[0]).repeat(len(seen), 1, 1)
    return climb(table, EYE, torch.hstack([spare, seen]))


def imagine(plan: Plan, table: Table, seen: Tensor, shown: Tensor, kept: Tensor) -> Tensor:
    """The hand: pixels of the kept-back tiles, in the order of `kept`.

    Attention does not care for the order of tokens, so the tiles stay as they were dealt.
    """
    code = compass(HAND.width, plan.across, str(seen.device))
    brought = _affine(table, "hand/door", seen)
    guess = table["hand/spare"].to(brought.dtype).expand(*kept.shape, -1)
    where = torch.hstack([torch.zeros_like(shown[:, :1]), shown + 1, kept + 1])
    drawn = climb(table, HAND, torch.hstack([brought, guess]) + code[where])
    return _affine(table, "hand/brush", drawn[:, -kept.shape[1]:])


def misfit(plan: Plan, table: Table, pixels: Tensor) -> Tensor:
    """Mean squared error over all kept-back tiles; every picture keeps back equally many."""
    shreds = shred(plan, pixels)
    shown, kept = deal(plan, len(pixels), str(pixels.device))
    drawn = imagine(plan, table, look(plan, table, shreds, shown), shown, kept)
    truth = rows(shreds, kept)
    if plan.level:
        mean, contrast = light(truth)
        truth = (truth - mean) / contrast
    return F.mse_loss(drawn.float(), truth)


def complete(plan: Plan, table: Table, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures with the kept-back tiles cut out, and with them drawn in."""
    shreds = shred(plan, pixels)
    shown, kept = deal(plan, len(pixels), str(pixels.device))
    drawn = imagine(plan, table, look(plan, table, shreds, shown), shown, kept)
    if plan.level:
        mean, contrast = light(rows(shreds, kept))
        drawn = torch.addcmul(mean, drawn, contrast)
    slots = kept[..., None].expand_as(drawn)
    return mend(plan, shreds.scatter(1, slots, 0.0)), mend(plan, shreds.scatter(1, slots, drawn))


def verdict(plan: Plan, table: Table, pixels: Tensor, norm: dict | None = None, learning: bool = False) -> Tensor:
    """Class scores from the average tile token. With `norm` (running statistics) the eye is a fixed
    instrument and its features are standardised first."""
    with torch.set_grad_enabled(norm is None and torch.is_grad_enabled()):
        essence = look(plan, table, shred(plan, pixels))[:, 1:].mean(1)
    if norm is not None:
        essence = F.batch_norm(essence, norm["mean"], norm["var"], training=learning)
    return _affine(table, "judge", essence)

"""Fitting and scoring."""
import math
from collections import Counter
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from config import Config
from pipeline import Prepared


def quantile_error(levels: Tensor, truth: Tensor, forecast: Tensor) -> Tensor:
    """Pinball loss of every entry of the forecast."""
    short = truth[..., None] - forecast
    return torch.where(short >= 0, levels * short, (levels - 1) * short)


class Objective(nn.Module):
    def __init__(self, kind: str, levels: Tensor):
        super().__init__()
        if kind not in Config.CHOICES["objective"]:
            raise ValueError(f"objective {kind!r} is not known")
        self.kind = kind
        self.levels = levels

    def forward(self, truth: Tensor, forecast: Tensor) -> Tensor:
        if self.kind == "pinball":
            return torch.mean(quantile_error(self.levels, truth, forecast))
        compare = functional.mse_loss if self.kind == "squared" else functional.l1_loss
        return compare(forecast.select(-1, 0), truth)


class Patience:
    """Keeps the best weights and says when to give up."""

    def __init__(self, net: nn.Module, limit: int):
        self.net, self.limit = net, limit
        self.lowest = math.inf
        self.bad_rounds = 0
        self.remember()

    def remember(self) -> None:
        self.weights = deepcopy(self.net.state_dict())

    def exhausted(self, score: float) -> bool:
        if score < self.lowest:
            self.lowest, self.bad_rounds = score, 0
            self.remember()
            return False
        self.bad_rounds += 1
        return self.bad_rounds >= self.limit

    def rewind(self) -> None:
        self.net.load_state_dict(self.weights)


class Trainer:
    def __init__(self, cfg: Config, data: Prepared, device: torch.device):
        self.cfg, self.data, self.device = cfg, data, device
        self.levels = torch.tensor(cfg.active_levels, device=device)
        self.objective = Objective(cfg.objective, self.levels)
        self.naive_error = data.seasonal_error(cfg.period).to(device)

    def batches(self, loader):
        for pair in loader:
            yield tuple(part.to(self.device) for part in pair)

    def one_epoch(self, net: nn.Module, loader, optimiser: AdamW, plan: OneCycleLR) -> float:
        net.train()
        losses = []
        for inputs, truth in self.batches(loader):
            optimiser.zero_grad()
            loss = self.objective(truth, net(inputs))
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), max_norm=self.cfg.grad_norm)
            optimiser.step()
            plan.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.no_grad()
    def tuning_loss(self, net: nn.Module, loader) -> float:
        net.eval()
        total = seen = 0
        for inputs, truth in self.batches(loader):
            total += self.objective(truth, net(inputs)).item() * inputs.size(0)
            seen += inputs.size(0)
        return total / seen

    def fit(self, net: nn.Module) -> None:
        cfg = self.cfg
        fit_loader, tune_loader = (self.data.loader(part, cfg.batch) for part in ("fit", "tune"))
        optimiser = AdamW(net.parameters(), weight_decay=cfg.l2, lr=cfg.peak_lr)
        plan = OneCycleLR(optimiser, max_lr=cfg.peak_lr, total_steps=cfg.max_epochs * len(fit_loader), pct_start=0.3)
        patience = Patience(net, cfg.wait)
        for epoch in range(cfg.max_epochs):
            fit_loss = self.one_epoch(net, fit_loader, optimiser, plan)
            tune_loss = self.tuning_loss(net, tune_loader)
            print(f"[{epoch + 1}/{cfg.max_epochs}] fit={fit_loss:.4f} tune={tune_loss:.4f}", flush=True)
            if patience.exhausted(tune_loss):
                print(f"gave up after {patience.bad_rounds} epochs without progress")
                break
        patience.rewind()

    @torch.no_grad()
    def score(self, net: nn.Module) -> dict:
        net.eval()
        median = torch.argmin(torch.abs(self.levels - 0.5)).item()
        sums = Counter()
        per_level = torch.zeros(self.levels.numel(), dtype=torch.float64)
        for inputs, truth in self.batches(self.data.loader("hold", self.cfg.batch)):
            forecast = net(inputs)
            per_level += quantile_error(self.levels, truth, forecast).flatten(0, 2).sum(0).double().cpu()
            miss = torch.abs(truth - forecast[..., median])
            sums.update({
                "n": truth.numel(),
                "mse": torch.sum(miss * miss).item(),
                "mae": torch.sum(miss).item(),
                "mase": torch.sum(miss / self.naive_error).item(),
                "volume": torch.sum(torch.abs(truth)).item(),
            })
        result = {key: sums[key] / sums["n"] for key in ("mse", "mae", "mase")}
        result["wql"] = 2 * per_level.mean().item() / max(sums["volume"], 1e-8)
        return result

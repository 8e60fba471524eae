import json

import torch
from torch import nn

from config import Config
from engine import Trainer
from forecasters import create
from pipeline import Prepared, prepare


def store(net: nn.Module, arch: str, cfg: Config, data: Prepared) -> None:
    centre, width = map(torch.from_numpy, data.scaling)
    content = dict(columns=data.columns, levels=cfg.active_levels, centre=centre, width=width, net=net.state_dict())
    torch.save(content, cfg.save_dir / (arch + ".pt"))


def report(table: dict, cfg: Config) -> None:
    for arch, scores in table.items():
        cells = [f"{name} {value:.4f}" for name, value in scores.items()]
        print("  ".join([arch.ljust(10), *cells]))
    with open(cfg.save_dir / "scores.json", "w") as out:
        json.dump(table, out, indent=2)


def main() -> None:
    cfg = Config.from_command_line()
    cfg.save_dir.mkdir(exist_ok=True, parents=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(cfg.rng_seed)

    data = prepare(cfg.source, cfg.n_in, cfg.n_out)
    trainer = Trainer(cfg, data, device)
    table = {}
    for arch in cfg.archs_to_run:
        net = create(arch, cfg, len(data.columns)).to(device)
        if next(net.parameters(), None) is not None:
            print("fitting", arch)
            trainer.fit(net)
            store(net, arch, cfg, data)
        table[arch] = trainer.score(net)
    report(table, cfg)


if __name__ == "__main__":
    main()

"""whospoke: `app.py learn` fits a voice print network, `app.py check` tests it on trials."""
import argparse
import math
from collections import Counter
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Optional

import torch

from angular import SphereLoss
from clips import HERTZ, PeopleClips, clip_paths, mono, window_of
from curves import eer, normalised_cost, operating_points
from encoder import PRINT_SIZE, VoicePrint
from frontend import Dropouts, Spectrum

GPU_OR_CPU = torch.device(("cpu", "cuda")[torch.cuda.is_available()])


def option(default, kind=None, **extras):
    return field(default=default, metadata={"type": kind or type(default), **extras})


@dataclass
class Learn:
    people: str
    noises: Optional[str] = option(None, str)
    save_in: Path = option(Path("runs/whospoke"), Path)
    go_on_from: Optional[Path] = option(None, Path)
    sweeps: int = option(40)
    group: int = option(128)
    clip_seconds: float = option(2.0)
    size: int = option(512)
    peak: float = option(1e-3)
    shape: str = option("cyclic", choices=("cyclic", "cosine"))
    wave_sweeps: int = option(8)
    extra: float = option(0.2)
    sharpness: float = option(30.0)
    gentle: bool = option(False)
    helpers: int = option(4)
    luck: int = option(0)


@dataclass
class Check:
    network: str
    trials: Path
    below: Path = option(Path("."), Path)
    strangers: Optional[str] = option(None, str)
    closest: int = option(300)
    prior: float = option(0.01)


def rate_curve(plan: Learn, per_sweep: int):
    """Factor on the peak rate as a function of the number of steps done."""
    floor = 1e-3

    def half_cosine(step):
        return (1 + math.cos(math.pi * step / (plan.sweeps * per_sweep))) / 2

    def shrinking_triangles(step):
        slope = max(plan.wave_sweeps * per_sweep // 2, 1)
        wave, inside = divmod(step, 2 * slope)
        return (1 - abs(inside / slope - 1)) * 0.5 ** wave

    height = {"cosine": half_cosine, "cyclic": shrinking_triangles}[plan.shape]
    return lambda step: floor + (1 - floor) * height(step)


def learn(plan: Learn):
    torch.manual_seed(plan.luck)
    clips = PeopleClips(plan.people, plan.noises, plan.clip_seconds)
    groups = torch.utils.data.DataLoader(
        clips,
        sampler=torch.utils.data.RandomSampler(clips),
        batch_size=plan.group,
        drop_last=True,
        num_workers=plan.helpers,
        pin_memory=GPU_OR_CPU.type != "cpu",
    )
    per_sweep = len(clips) // plan.group
    if per_sweep < 1:
        raise SystemExit(f"{len(clips)} clips do not fill a group of {plan.group}; see --group")
    print(f"on {GPU_OR_CPU}: {len(clips)} clips of {len(clips.people)} people")

    network = VoicePrint(size=plan.size).to(GPU_OR_CPU)
    sphere = SphereLoss((len(clips.people), PRINT_SIZE), plan.extra, plan.sharpness, plan.gentle)
    sphere.to(GPU_OR_CPU)
    prepare = torch.nn.Sequential(Spectrum(), Dropouts()).to(GPU_OR_CPU)

    stepper = torch.optim.Adam(network.parameters(), lr=plan.peak, weight_decay=2e-5)
    stepper.add_param_group({"params": list(sphere.parameters()), "weight_decay": 2e-4})
    rate = torch.optim.lr_scheduler.LambdaLR(stepper, rate_curve(plan, per_sweep))

    keep = dict(network=network, sphere=sphere, stepper=stepper, rate=rate)
    done = -1
    if plan.go_on_from is not None:
        memory = torch.load(plan.go_on_from, map_location=GPU_OR_CPU, weights_only=False)
        done = memory["done"]
        for title in keep:
            keep[title].load_state_dict(memory["states"][title])

    plan.save_in.mkdir(parents=True, exist_ok=True)
    for sweep in range(done + 1, plan.sweeps):
        network.train()
        sums = Counter()
        for group in groups:
            samples, person = (tensor.to(GPU_OR_CPU) for tensor in group)
            result = sphere(network(prepare(samples)), person)
            for module in (network, sphere):
                module.zero_grad(set_to_none=True)
            result["loss"].backward()
            stepper.step()
            rate.step()
            sums.update({title: value.item() for title, value in result.items()})
        figures = [f"{title} {total / per_sweep:.4f}" for title, total in sums.items()]
        print(f"sweep {sweep}:", *figures, f"rate {stepper.param_groups[0]['lr']:.2e}")
        torch.save(
            {
                "done": sweep,
                "size": plan.size,
                "people": clips.people,
                "states": {title: thing.state_dict() for title, thing in keep.items()},
            },
            plan.save_in / f"sweep{sweep:03d}.pt",
        )


class PrintBook(dict):
    """Voice prints by path, each computed when it is first asked for."""

    def __init__(self, network_file, at_least=1.0):
        super().__init__()
        memory = torch.load(network_file, map_location=GPU_OR_CPU, weights_only=False)
        network = VoicePrint(size=memory["size"])
        network.load_state_dict(memory["states"]["network"])
        self.chain = torch.nn.Sequential(Spectrum(), network).to(GPU_OR_CPU).eval()
        self.at_least = int(HERTZ * at_least)

    def __missing__(self, path):
        clip = mono(path)
        if clip.size < self.at_least:
            clip = window_of(clip, self.at_least)
        with torch.inference_mode():
            raw = self.chain(torch.from_numpy(clip).to(GPU_OR_CPU).unsqueeze(0)).cpu().squeeze(0)
            self[path] = raw / raw.norm().clamp_min(1e-12)
        return self[path]


def stranger_scale(prints, strangers, closest):
    """Per print: mean and deviation of its similarity to the most similar strangers."""
    ranked = torch.einsum("nd,sd->ns", prints, strangers).sort(dim=1, descending=True).values
    deviation, mean = torch.std_mean(ranked[:, :closest], dim=1)
    return mean, deviation.clamp_min(1e-6)


def check(plan: Check):
    rows = [row for row in map(str.split, plan.trials.read_text().splitlines()) if row]
    outcomes, *sides = zip(*rows)
    outcomes = [int(outcome) for outcome in outcomes]
    book = PrintBook(plan.network)
    enrolled, tested = (torch.stack([book[plan.below / name] for name in side]) for side in sides)
    similarity = torch.einsum("nd,nd->n", enrolled, tested)
    if plan.strangers:
        paths = clip_paths(plan.strangers)
        if not paths[1:]:
            raise SystemExit("give at least two recordings of strangers")
        strangers = torch.stack([book[path] for path in paths])
        similarity = sum(
            (similarity - mean) / deviation
            for mean, deviation in (
                stranger_scale(prints, strangers, plan.closest) for prints in (enrolled, tested))
        ) / 2
    points = operating_points(outcomes, similarity.numpy())
    print(f"{len(rows)} trials", f"EER {eer(points):.3%}",
          f"minDCF({plan.prior}) {normalised_cost(points, plan.prior):.4f}", sep="  ")


def command_line():
    top = argparse.ArgumentParser(description=__doc__)
    verbs = top.add_subparsers(metavar="verb", required=True)
    for verb, plan in ((learn, Learn), (check, Check)):
        parser = verbs.add_parser(verb.__name__)
        parser.set_defaults(verb=verb, plan=plan)
        for item in fields(plan):
            if item.default is MISSING:
                parser.add_argument(item.name, type=item.type)
                continue
            flag = "--" + item.name.replace("_", "-")
            if item.metadata["type"] is bool:
                parser.add_argument(flag, action="store_true")
            else:
                parser.add_argument(flag, default=item.default, **item.metadata)
    given = vars(top.parse_args())
    verb, plan = given.pop("verb"), given.pop("plan")
    return verb, plan(**given)


if __name__ == "__main__":
    action, settings = command_line()
    action(settings)

"""Everything a run can be told, as one record; written on the command line as name=value."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Plan:
    source: str
    target: str = "property_model.pt"
    keep_families: bool = True
    train_share: float = 0.8
    tune_share: float = 0.1
    channels: int = 192
    rounds: int = 5
    probes: int = 4
    noise: float = 0.2
    collect: str = "mix"
    molecules_per_step: int = 64
    sweeps: int = 150
    hope: int = 20
    pace: float = 7e-4
    shrinkage: float = 1e-4
    gradient_limit: float = 2.0
    entropy: int = 0
    accelerator: str = "auto"


def from_words(words):
    source, *settings = words
    plan = Plan(source)
    kinds = {field.name: type(getattr(plan, field.name)) for field in fields(Plan)}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in kinds:
            raise SystemExit(f"unknown setting {name!r}; known are {', '.join(kinds)}")
        value = text.lower() in ("1", "yes", "true") if kinds[name] is bool else kinds[name](text)
        plan = replace(plan, **{name: value})
    if plan.collect not in ("mix", "max", "last"):
        raise SystemExit("collect is one of mix, max and last")
    return plan

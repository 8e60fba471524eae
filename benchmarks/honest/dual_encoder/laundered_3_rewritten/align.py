"""Usage: align.py exam=FILE [study=FILE] [name=value ...]; without study the kept aligner is examined."""

import math
import sys

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aligner import SIZES, Aligner
from darkroom import chance_print
from exam import examine
from rivalry import Archive

CHOICES = dict(exam="", study="", keep="aligner.pt", device="cuda" if torch.cuda.is_available() else "cpu")
CHOICES |= dict(portion=256, rounds=40, room=8192, entropy=0, pace=5e-4, shrinkage=0.05, inertia=0.995, sternness=0.5)


def read_words(words):
    known = CHOICES | SIZES
    given = dict(word.partition("=")[::2] for word in words)
    if strange := sorted(given.keys() - known.keys()):
        raise SystemExit(f"unknown: {', '.join(strange)}; known: {', '.join(known)}")
    return {name: type(value)(given.get(name, value)) for name, value in known.items()}


def tempo(total):
    """Shares of the pace for all steps: a ramp of a twentieth, then half a cosine."""
    step, ramp = np.arange(total + 1), max(total // 20, 1)
    fall = np.clip((step - ramp) / max(total - ramp, 1), 0, None)
    return np.minimum((step + 1) / ramp, np.cos(np.pi * fall / 2) ** 2)


class Study:
    def __init__(self, material, choice):
        self.material, self.choice = material, choice
        self.per_round = len(material["captions"]) // choice["portion"]
        if not self.per_round:
            raise SystemExit(f"portion={choice['portion']} is more than the {len(material['captions'])} pairs there are")
        device = choice["device"]
        self.student = Aligner(**{name: choice[name] for name in SIZES}).to(device)
        self.shadow = AveragedModel(self.student, multi_avg_fn=get_ema_multi_avg_fn(choice["inertia"]))
        self.shadow.n_averaged.fill_(1)  # it starts as an equal, so its first update is an average already
        self.archive = Archive(choice["room"], choice["space"], device)
        drawn, fixed = self.student.shrinkable()
        self.optimizer = torch.optim.AdamW(drawn, lr=choice["pace"], betas=(0.9, 0.98), weight_decay=choice["shrinkage"])
        self.optimizer.add_param_group({"params": fixed, "weight_decay": 0.0})
        curve = tempo(self.per_round * choice["rounds"])
        self.clock = torch.optim.lr_scheduler.LambdaLR(self.optimizer, curve.__getitem__)

    def senses(self, model, pictures, sentences):
        return model.see(chance_print(pictures, self.choice["side"])), model.hear(sentences)

    def step(self, members):
        pictures = self.material["images"][members].to(self.choice["device"]) / 255.0
        sentences = [self.material["captions"][member] for member in members]
        with torch.no_grad():
            memory = self.senses(self.shadow.module, pictures, sentences)
        heat = self.student.log_heat.exp()
        price = self.archive.price(self.senses(self.student, pictures, sentences), memory, heat, self.choice["sternness"])
        self.optimizer.zero_grad()
        price.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.clock.step()
        with torch.no_grad():
            self.student.log_heat.clamp_(-math.log(100.0), 0.0)
        self.shadow.update_parameters(self.student)
        self.archive.extend(*memory)
        return price.item()

    def rounds(self):
        """After each round, its mean price."""
        dice = np.random.default_rng(self.choice["entropy"])
        for _ in range(self.choice["rounds"]):
            shuffled = dice.permutation(len(self.material["captions"]))
            table = shuffled[: self.per_round * self.choice["portion"]].reshape(self.per_round, -1)
            yield math.fsum(map(self.step, table.tolist())) / self.per_round

    def keep(self):
        kept = {"sizes": self.student.sizes, "student": self.student.state_dict()}
        torch.save(kept | {"shadow": self.shadow.module.state_dict()}, self.choice["keep"])


def main(words):
    choice = read_words(words)
    if not choice["exam"]:
        raise SystemExit(__doc__)
    torch.manual_seed(choice["entropy"])
    material = torch.load(choice["exam"], weights_only=True)
    if not choice["study"]:
        kept = torch.load(choice["keep"], map_location=choice["device"], weights_only=True)
        aligner = Aligner(**kept["sizes"]).to(choice["device"])
        aligner.load_state_dict(kept["shadow"])
        print(*examine(aligner, material, choice["portion"], choice["device"]), sep="\n")
        return
    study = Study(torch.load(choice["study"], weights_only=True), choice)
    for number, price in enumerate(study.rounds(), start=1):
        print(f"round {number}: price {price:.4f}, heat {study.student.log_heat.exp():.4f}")
        print(*examine(study.shadow.module, material, choice["portion"], choice["device"]), sep="\n")
        study.keep()


if __name__ == "__main__":
    main(sys.argv[1:])

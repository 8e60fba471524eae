"""python cli.py learn DIR; python cli.py paint FILE --category 3"""

import sys
from itertools import chain, islice, repeat

import torch
from clockwork import angles, paint, regret
from machine import Machine
from program import Shape

OPTIONS = {
    "file": "state.pt", "batch": 128, "updates": 200_000, "rate": 2e-4, "ramp": 1_000, "norm": 1.0,
    "lag": 0.9999, "show": 100, "store": 5_000,
    "category": 0, "count": 16, "steps": 50, "force": 2.0, "jitter": 0.0, "picture": "out.ppm",
}  # fmt: skip


def read_options(words):
    given = dict(OPTIONS)
    for flag, text in zip(words[::2], words[1::2]):
        key = flag.removeprefix("--")
        if key not in given:
            raise SystemExit(f"unknown option {flag}")
        given[key] = type(given[key])(text)
    return given


def pictures(folder, pixels, batch):
    """Endless batches of images in [-1, 1], half of them mirrored."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    centre = [0.5] * 3
    prepare = v2.Compose([
        v2.Resize(pixels), v2.CenterCrop(pixels), v2.RandomHorizontalFlip(),
        v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(centre, centre),
    ])  # fmt: skip
    source = ImageFolder(folder, prepare)
    loader = torch.utils.data.DataLoader(source, batch, True, num_workers=4, drop_last=True)
    return chain.from_iterable(repeat(loader))


class Follower:
    """All parameters as one vector that lags behind those of the machine."""

    def __init__(self, machine, lag):
        self.lag, self.count, self.machine = lag, 0, machine
        self.vector = self.read()

    def read(self):
        return torch.nn.utils.parameters_to_vector(self.machine.parameters()).detach().clone()

    def pull(self):
        self.count += 1
        pace = max(1 - self.lag, 10 / (self.count + 10))
        self.vector += pace * (self.read() - self.vector)


def learn(machine, batches, o):
    """Yield the step and its loss; the follower is stored as often as asked, and at the end."""
    table, follower = angles(), Follower(machine, o["lag"])
    adam = torch.optim.AdamW(machine.parameters(), lr=o["rate"], weight_decay=0)
    for step, (image, category) in enumerate(islice(batches, o["updates"]), start=1):
        adam.param_groups[0]["lr"] = o["rate"] * min(step / o["ramp"], 1)
        adam.zero_grad(set_to_none=True)
        loss = regret(machine, image, category, table)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(machine.parameters(), o["norm"])
        adam.step()
        follower.pull()
        if step % o["store"] == 0 or step == o["updates"]:
            torch.save({"shape": machine.shape._asdict(), "vector": follower.vector}, o["file"])
        yield step, loss.item()


def recall(file):
    state = torch.load(file, weights_only=True)
    machine = Machine(Shape(**state["shape"])).eval()
    torch.nn.utils.vector_to_parameters(state["vector"], machine.parameters())
    return machine


def wall(images, across):
    """Images side by side as bytes (rows, columns, colours), black where none is left."""
    count, colours, high, wide = images.shape
    missing = -count % across
    full = torch.vstack([images, torch.full((missing, colours, high, wide), -1.0)])
    strips = [torch.cat(list(strip), dim=2) for strip in full.split(across)]
    joined = torch.cat(strips, dim=1).movedim(0, -1)
    return (joined * 127.5 + 127.5).round().to(torch.uint8)


def main(verb, place, *words):
    o = read_options(words)
    if verb == "learn":
        machine, total = Machine(), 0.0
        for step, loss in learn(machine, pictures(place, machine.shape.pixels, o["batch"]), o):
            total += loss
            if step % o["show"] == 0:
                print(f"step {step:7d}  loss {total / o['show']:.4f}", flush=True)
                total = 0.0
    else:
        category = torch.tensor([o["category"]] * o["count"])
        how = {k: o[k] for k in ("steps", "force", "jitter")}
        sheet = wall(paint(recall(place), category, angles(), **how), across=4)
        with open(o["picture"], "wb") as out:
            out.write(b"P6 %d %d 255\n" % (sheet.shape[1], sheet.shape[0]) + sheet.numpy().tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])

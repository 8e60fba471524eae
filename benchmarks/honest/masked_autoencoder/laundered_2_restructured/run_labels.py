"""Train a Sorter on top of a Veilview reader, whole or as a probe."""
from argparse import ArgumentParser
from pathlib import Path

import torch
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from nets import Sorter
from options import recall, store
from pictures import label_loaders
from teaching import Teacher, graded_groups, pick_device


def read_flags():
    flags = ArgumentParser(description="Train a Sorter on top of a Veilview reader, whole or as a probe.")
    flags.add_argument("folder", type=Path, help="holds train/ and val/")
    flags.add_argument("start", type=Path, help="what run_pretext stored")
    flags.add_argument("--only-verdict", action="store_true", help="leave the reader as it is")
    for name, default in (("passes", 50), ("rise", 5), ("batch", 256), ("jobs", 4)):
        flags.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("shrink", 0.05), ("fade", 0.75), ("mix", 0.8), ("soft", 0.1)):
        flags.add_argument(f"--{name}", type=float, default=default)
    flags.add_argument("--rate", type=float, help="0.001 when absent, 0.1 with --only-verdict")
    flags.add_argument("--into", type=Path, default=Path("veilview/sorter.pt"))
    found = flags.parse_args()
    if found.only_verdict:
        found.mix = found.soft = 0.0
    found.rate = found.rate or (0.1 if found.only_verdict else 1e-3)
    return found


def soft_labels(kinds, soft, labels):
    target = labels.new_full((labels.numel(), kinds), soft / kinds, dtype=torch.float32)
    return target.scatter_add_(1, labels[:, None], torch.full_like(target[:, :1], 1 - soft))


def mix_pairs(mix, *tensors):
    """Blend every tensor with the same random reordering of itself."""
    if not mix > 0:
        return tensors
    share = float(Beta(mix, mix).sample())
    other = torch.randperm(tensors[0].size(0), device=tensors[0].device)
    return tuple(share * tensor + (1 - share) * tensor[other] for tensor in tensors)


def evaluate(sorter, loader, device):
    sorter.eval()
    right = []
    with torch.no_grad():
        for pics, labels in loader:
            scores = sorter(pics.to(device))
            right.append(scores.max(dim=1).indices.cpu() == labels)
    return torch.cat(right).float().mean().item()


def make_optimiser(flags, options, sorter):
    if flags.only_verdict:
        return torch.optim.SGD(sorter.verdict.parameters(), momentum=0.9, lr=flags.rate)
    return torch.optim.AdamW(graded_groups(flags.shrink, flags.fade, options.reader.length, sorter), lr=flags.rate)


def main():
    flags = read_flags()
    device = pick_device()
    options, weights = recall(flags.start)
    learn, check = label_loaders(flags.folder, options.pixels, flags.batch, flags.jobs, not flags.only_verdict)
    kinds = len(learn.dataset.classes)

    sorter = Sorter(kinds, options)
    sorter.adopt(weights)
    if flags.only_verdict:
        sorter.freeze()
    sorter = sorter.to(device)
    teacher = Teacher(make_optimiser(flags, options, sorter), device, flags.rate,
                      rise=flags.rise * len(learn), length=flags.passes * len(learn))

    flags.into.parent.mkdir(exist_ok=True, parents=True)
    record = 0.0
    for done in range(1, flags.passes + 1):
        sorter.train()
        for pics, labels in learn:
            pics, labels = pics.to(device), labels.to(device)
            pics, target = mix_pairs(flags.mix, pics, soft_labels(kinds, flags.soft, labels))
            teacher.learn(lambda: cross_entropy(sorter(pics), target))
        share = evaluate(sorter, check, device)
        if share > record:
            record = share
            store(flags.into, sorter, options, share=share)
        print("pass %d of %d: %.4f right, record %.4f" % (done, flags.passes, share, record), flush=True)


if __name__ == "__main__":
    main()

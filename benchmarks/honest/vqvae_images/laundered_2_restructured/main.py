"""Commands: compressor DATA, words DATA (needs the compressor), draw (needs both)."""
import argparse
import pathlib

import torch
from torch import optim
from torch.nn import functional as fn

from models import Compressor, WordModel, compress, expand, word_loss, write_grids
from storage import DEVICE, dump, image_batches, restore, sheet


def step_with(optimiser, loss, clip=None):
    optimiser.zero_grad()
    loss.backward()
    if clip is not None:
        parameters = [q for group in optimiser.param_groups for q in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, max_norm=clip)
    optimiser.step()


def compressor_epoch(number, net, optimiser, batches, weight):
    """One pass over the data; gives back the last batch next to its reconstruction."""
    for at, batch in enumerate(batches):
        images = batch[0].to(DEVICE)
        output, drift, report = net(images)
        distortion = fn.mse_loss(output, images)
        step_with(optimiser, distortion + weight * drift)
        if at % 100:
            continue
        print("epoch {} batch {}: distortion {:.4f}, drift {:.4f}, vocabulary {:.1f}, replaced {}".format(
            number, at, distortion.item(), drift.item(), report["vocabulary"], report["replaced"]))
    return images, output.detach()


def run_compressor(opt):
    batches = image_batches(opt.data, opt.batch, opt.side)
    net = Compressor(n_words=opt.words).to(DEVICE)
    optimiser = optim.Adam(net.parameters(), lr=opt.lr)
    for number in range(opt.epochs):
        before, after = compressor_epoch(number, net, optimiser, batches, opt.drift)
        both = torch.vstack((before[:8], after[:8])).clamp(min=-1, max=1)
        sheet(opt.home / "epoch_{:03d}.png".format(number), both, columns=8)
        dump(opt.home / "compressor.pt", net)


def run_words(opt):
    batches = image_batches(opt.data, opt.batch, opt.side)
    net = restore(opt.home / "compressor.pt", Compressor)
    model = WordModel(grid=opt.side // 4, n_words=net.options["n_words"]).to(DEVICE)
    optimiser = optim.AdamW(model.parameters(), weight_decay=0.01, lr=opt.lr)
    for number in range(opt.epochs):
        losses = []
        for images, _ in batches:
            loss = word_loss(model, compress(net, images.to(DEVICE)))
            step_with(optimiser, loss, clip=1.0)
            losses.append(loss.item())
        print("epoch {}: {:.4f} nats a word".format(number, sum(losses) / len(losses)))
        dump(opt.home / "words.pt", model)


def run_draw(opt):
    torch.manual_seed(opt.seed)
    net = restore(opt.home / "compressor.pt", Compressor)
    model = restore(opt.home / "words.pt", WordModel)
    images = expand(net, write_grids(model, opt.n, k=opt.k, heat=opt.heat))
    sheet(opt.file, images, columns=int(opt.n ** 0.5))


def read_options():
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--home", type=pathlib.Path, default=pathlib.Path("lexicon_out"))
    commands = top.add_subparsers(dest="command", required=True)

    for name, action in (("compressor", run_compressor), ("words", run_words)):
        fit = commands.add_parser(name)
        fit.set_defaults(action=action)
        fit.add_argument("data", help="image folder with one directory per class")
        fit.add_argument("--lr", type=float, default=0.0003)
        fit.add_argument("--epochs", type=int, default=50)
        fit.add_argument("--batch", type=int, default=64)
        fit.add_argument("--side", type=int, default=64)
        if name == "compressor":
            fit.add_argument("--words", type=int, default=512)
            fit.add_argument("--drift", type=float, default=0.25)

    draw = commands.add_parser("draw")
    draw.set_defaults(action=run_draw)
    draw.add_argument("--n", type=int, default=16)
    draw.add_argument("--k", type=int, default=0)
    draw.add_argument("--heat", type=float, default=1.0)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--file", default="drawn.png")
    return top.parse_args()


def main():
    opt = read_options()
    opt.home.mkdir(exist_ok=True, parents=True)
    opt.action(opt)


if __name__ == "__main__":
    main()

"""Two stages:  train.py vqvae DATA  and then  train.py prior DATA"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import transforms as T
from torchvision.datasets import ImageFolder
from torchvision.utils import save_image

from prior import CodePrior
from vqvae import VQVAE

device = "cuda" if torch.cuda.is_available() else "cpu"


def make_loader(args):
    steps = [T.Resize(args.size), T.CenterCrop(args.size), T.RandomHorizontalFlip(), T.ToTensor(),
             T.Normalize([0.5] * 3, [0.5] * 3)]
    data = ImageFolder(args.data, T.Compose(steps))
    return DataLoader(data, args.batch_size, shuffle=True, num_workers=4, drop_last=True)


def save(model, path):
    torch.save({"config": model.config, "state": model.state_dict()}, path)


def load(cls, path):
    blob = torch.load(path, map_location=device)
    model = cls(**blob["config"]).to(device)
    model.load_state_dict(blob["state"])
    return model.eval()


def train_vqvae(args, loader):
    model = VQVAE(num_codes=args.codes).to(device)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        for step, (x, _) in enumerate(loader):
            x = x.to(device)
            recon, commitment, info = model(x)
            error = F.mse_loss(recon, x)
            opt.zero_grad()
            (error + args.beta * commitment).backward()
            opt.step()
            if step % 100 == 0:
                print(f"[{epoch}:{step}] recon {error.item():.4f} commit {commitment.item():.4f} "
                      f"perplexity {info['perplexity']:.1f} restarted {info['restarted']}")
        pair = torch.cat([x[:8], recon[:8].detach()]) / 2 + 0.5
        save_image(pair.clamp(0, 1), args.out / f"recon_{epoch:03d}.png", nrow=8)
        save(model, args.out / "vqvae.pt")


def train_prior(args, loader):
    vqvae = load(VQVAE, args.out / "vqvae.pt")
    prior = CodePrior(vqvae.config["num_codes"], args.size // 4).to(device)
    opt = torch.optim.AdamW(prior.parameters(), lr=args.lr, weight_decay=0.01)
    for epoch in range(args.epochs):
        total = 0.0
        for x, _ in loader:
            loss = prior.loss(vqvae.encode(x.to(device)))
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
            opt.step()
            total += loss.item()
        print(f"[{epoch}] prior nll per code {total / len(loader):.4f}")
        save(prior, args.out / "prior.pt")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("stage", choices=["vqvae", "prior"])
    p.add_argument("data", help="folder of class folders of images")
    p.add_argument("--out", type=Path, default=Path("runs"))
    p.add_argument("--size", type=int, default=64)
    p.add_argument("--codes", type=int, default=512)
    p.add_argument("--beta", type=float, default=0.25, help="commitment weight")
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--epochs", type=int, default=50)
    p.add_argument("--lr", type=float, default=3e-4)
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    {"vqvae": train_vqvae, "prior": train_prior}[args.stage](args, make_loader(args))

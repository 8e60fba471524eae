"""python train.py autoencoder|prior --data IMAGE_FOLDER_OR_cifar10"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms, utils

from prior import CodePrior
from vqvae import VQVAE


def make_loader(args):
    steps = [transforms.Resize(args.size), transforms.CenterCrop(args.size), transforms.ToTensor(),
             transforms.Normalize([0.5] * 3, [0.5] * 3)]
    if args.data == "cifar10":
        data = datasets.CIFAR10("data", train=True, download=True, transform=transforms.Compose(steps))
    else:
        data = datasets.ImageFolder(args.data, transforms.Compose(steps))
    return DataLoader(data, args.batch_size, shuffle=True, num_workers=4, drop_last=True)


def train_autoencoder(args, loader, device):
    model = VQVAE(num_codes=args.codes).to(device)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        for step, (x, _) in enumerate(loader):
            x = x.to(device)
            recon, commitment, stats = model(x)
            rec_loss = F.mse_loss(recon, x)
            loss = rec_loss + args.beta * commitment
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            if step % 100 == 0:
                print(f"epoch {epoch} step {step} recon {rec_loss.item():.4f} commit {commitment.item():.4f} "
                      f"perplexity {stats['perplexity']:.1f} restarted {stats['restarted']}", flush=True)
        model.eval()
        with torch.no_grad():
            recon = model(x[:16])[0]
        pairs = torch.cat([x[:16], recon.clamp(-1, 1)])
        utils.save_image(pairs * 0.5 + 0.5, args.out / f"recon_{epoch:03d}.png", nrow=16)
        torch.save({"config": model.config, "state": model.state_dict()}, args.out / "vqvae.pt")


def load_autoencoder(path, device):
    saved = torch.load(path, map_location=device)
    model = VQVAE(**saved["config"]).to(device)
    model.load_state_dict(saved["state"])
    return model.eval()


def train_prior(args, loader, device):
    vqvae = load_autoencoder(args.out / "vqvae.pt", device)
    prior = CodePrior(vqvae.config["num_codes"]).to(device)
    opt = torch.optim.AdamW(prior.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        prior.train()
        total = 0.0
        for x, _ in loader:
            codes = vqvae.encode(x.to(device))
            loss = F.cross_entropy(prior(codes), codes)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
            opt.step()
            total += loss.item()
        print(f"epoch {epoch}: mean nll {total / len(loader):.4f} nats per code")
        torch.save({"config": prior.config, "state": prior.state_dict(), "grid": tuple(codes.shape[1:])},
                   args.out / "prior.pt")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("stage", choices=["autoencoder", "prior"])
    p.add_argument("--data", default="cifar10")
    p.add_argument("--out", type=Path, default=Path("out"))
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--codes", type=int, default=512)
    p.add_argument("--beta", type=float, default=0.25, help="weight of the commitment term")
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--epochs", type=int, default=50)
    p.add_argument("--lr", type=float, default=3e-4)
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = train_autoencoder if args.stage == "autoencoder" else train_prior
    run(args, make_loader(args), device)


if __name__ == "__main__":
    main()

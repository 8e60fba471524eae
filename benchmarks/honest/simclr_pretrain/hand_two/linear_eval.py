"""Train a linear classifier on frozen features and report top-1 and top-5 accuracy."""
import argparse

import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision import transforms as T

from simclr import SimCLR


def topk_hits(logits, y, ks=(1, 5)):
    ranked = logits.topk(max(ks), dim=1).indices == y[:, None]
    return torch.tensor([ranked[:, :k].any(1).sum().item() for k in ks])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("--data", default="data")
    p.add_argument("--epochs", type=int, default=90)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--lr", type=float, default=0.1)
    a = p.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    state = torch.load(a.checkpoint, map_location=device)
    model = SimCLR(state["arch"]).to(device)
    model.load_state_dict(state["model"])
    encoder = model.encoder.eval().requires_grad_(False)

    flip = T.Compose([T.RandomResizedCrop(32, scale=(0.2, 1.0)), T.RandomHorizontalFlip(),
                      T.ToTensor()])
    train = DataLoader(datasets.CIFAR10(a.data, transform=flip, download=True), a.batch,
                       shuffle=True, num_workers=8)
    test = DataLoader(datasets.CIFAR10(a.data, train=False, transform=T.ToTensor()), 512,
                      num_workers=8)
    head = nn.Linear(model.width, 10).to(device)
    optimizer = torch.optim.SGD(head.parameters(), a.lr, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, a.epochs)
    for epoch in range(1, a.epochs + 1):
        for x, y in train:
            with torch.no_grad():
                h = encoder(x.to(device))
            loss = F.cross_entropy(head(h), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        hits = torch.zeros(2, dtype=torch.long)
        with torch.no_grad():
            for x, y in test:
                hits += topk_hits(head(encoder(x.to(device))), y.to(device))
        top1, top5 = (100 * hits / len(test.dataset)).tolist()
        print(f"epoch {epoch}  top-1 {top1:.2f}  top-5 {top5:.2f}")


if __name__ == "__main__":
    main()

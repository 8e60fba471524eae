"""Two looks at a frozen encoder: nearest neighbours and a linear classifier."""
import argparse

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms as T

from simclr import MEAN, STD, SimCLR


def plain_loaders(root, batch_size=512, workers=4):
    tf = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
    return [
        DataLoader(datasets.CIFAR10(root, train=train, download=True, transform=tf), batch_size, num_workers=workers)
        for train in (True, False)
    ]


@torch.no_grad()
def extract(encoder, loader, device):
    was_training = encoder.training
    encoder.eval()
    xs, ys = [], []
    for images, labels in loader:
        xs.append(encoder(images.to(device)).float())
        ys.append(labels.to(device))
    encoder.train(was_training)
    return torch.cat(xs), torch.cat(ys)


@torch.no_grad()
def knn_accuracy(bank, bank_labels, queries, labels, k=200, temperature=0.1, classes=10):
    bank, queries = F.normalize(bank, dim=1), F.normalize(queries, dim=1)
    hits = 0
    for q, y in zip(queries.split(512), labels.split(512)):
        sim, idx = (q @ bank.t()).topk(k, dim=1)
        votes = torch.zeros(len(q), classes, device=q.device)
        votes.scatter_add_(1, bank_labels[idx], (sim / temperature).exp())
        hits += (votes.argmax(1) == y).sum().item()
    return 100 * hits / len(labels)


def topk_accuracy(logits, labels, ks=(1, 5)):
    ranked = logits.topk(max(ks), dim=1).indices == labels[:, None]
    return [100 * ranked[:, :k].any(1).float().mean().item() for k in ks]


def linear_probe(train, test, epochs=100, lr=0.1, batch_size=512, classes=10):
    (x, y), (x_test, y_test) = train, test
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, x_test = (x - mean) / std, (x_test - mean) / std
    head = torch.nn.Linear(x.shape[1], classes).to(x.device)
    opt = torch.optim.SGD(head.parameters(), lr=lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for _ in range(epochs):
        for idx in torch.randperm(len(x), device=x.device).split(batch_size):
            loss = F.cross_entropy(head(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        schedule.step()
    with torch.no_grad():
        return topk_accuracy(head(x_test), y_test)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("--data", default="data")
    p.add_argument("--epochs", type=int, default=100)
    p.add_argument("--lr", type=float, default=0.1)
    args = p.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    saved = torch.load(args.checkpoint, map_location=device)
    model = SimCLR(saved["arch"]).to(device)
    model.load_state_dict(saved["model"])
    train, test = (extract(model.encoder, loader, device) for loader in plain_loaders(args.data))
    print(f"kNN     {knn_accuracy(*train, *test):.2f}")
    top1, top5 = linear_probe(train, test, args.epochs, args.lr)
    print(f"linear  top-1 {top1:.2f}  top-5 {top5:.2f}")


if __name__ == "__main__":
    main()

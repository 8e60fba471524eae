"""Pre-train; run alone or with `torchrun --nproc_per_node N pretrain.py`."""
import argparse
import os

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from torchvision import datasets
from torchvision.transforms import ToTensor

from lars import LARS, lars_groups, warmup_cosine
from simclr import SimCLR, TwoViews, nt_xent


@torch.no_grad()
def embed(encoder, loader, device):
    encoder.eval()
    pairs = [(F.normalize(encoder(x.to(device)), dim=1), y.to(device)) for x, y in loader]
    return tuple(torch.cat(column) for column in zip(*pairs))


@torch.no_grad()
def knn_accuracy(encoder, bank_loader, test_loader, device, k=200, temperature=0.1):
    bank, labels = embed(encoder, bank_loader, device)
    feats, truth = embed(encoder, test_loader, device)
    classes = int(labels.max()) + 1
    hits = 0
    for f, y in zip(feats.split(512), truth.split(512)):
        sim, near = (f @ bank.T).topk(min(k, len(bank)), dim=1)
        votes = torch.zeros(len(f), classes, device=device)
        votes.scatter_add_(1, labels[near], (sim / temperature).exp())
        hits += (votes.argmax(1) == y).sum().item()
    return 100 * hits / len(truth)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", default="data")
    p.add_argument("--arch", default="resnet18")
    p.add_argument("--epochs", type=int, default=500)
    p.add_argument("--warmup-epochs", type=int, default=10)
    p.add_argument("--batch", type=int, default=512, help="images per process")
    p.add_argument("--lr", type=float, default=0.3, help="per 256 images")
    p.add_argument("--weight-decay", type=float, default=1e-6)
    p.add_argument("--temperature", type=float, default=0.5)
    p.add_argument("--knn-every", type=int, default=10)
    p.add_argument("--out", default="simclr.pt")
    a = p.parse_args()

    world = int(os.environ.get("WORLD_SIZE", 1))
    rank, local = int(os.environ.get("RANK", 0)), int(os.environ.get("LOCAL_RANK", 0))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")

    if rank == 0:
        datasets.CIFAR10(a.data, download=True)
    if world > 1:
        dist.barrier()
    train = datasets.CIFAR10(a.data, transform=TwoViews())
    sampler = DistributedSampler(train) if world > 1 else None
    loader = DataLoader(train, a.batch, shuffle=sampler is None, sampler=sampler, drop_last=True,
                        num_workers=8, pin_memory=cuda)
    bank, test = (DataLoader(datasets.CIFAR10(a.data, train=t, transform=ToTensor()), 512,
                             num_workers=8) for t in (True, False))

    model = SimCLR(a.arch).to(device)
    net = model
    if world > 1:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        net = DistributedDataParallel(model, device_ids=[local] if cuda else None)
    optimizer = LARS(lars_groups(model, a.weight_decay), lr=a.lr * a.batch * world / 256)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_cosine(a.warmup_epochs * len(loader), a.epochs * len(loader)))
    scaler = torch.cuda.amp.GradScaler(enabled=cuda)

    for epoch in range(1, a.epochs + 1):
        if sampler:
            sampler.set_epoch(epoch)
        model.train()
        total = 0.0
        for (va, vb), _ in loader:
            views = torch.cat([va, vb]).to(device, non_blocking=True)
            with torch.autocast(device.type, enabled=cuda):
                za, zb = net(views).chunk(2)
            loss = nt_xent(za, zb, a.temperature)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            total += loss.item()
        if rank == 0:
            line = f"epoch {epoch}  loss {total / len(loader):.4f}"
            if epoch % a.knn_every == 0 or epoch == a.epochs:
                line += f"  knn {knn_accuracy(model.encoder, bank, test, device):.2f}%"
                torch.save({"arch": a.arch, "epoch": epoch, "model": model.state_dict()}, a.out)
            print(line, flush=True)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()

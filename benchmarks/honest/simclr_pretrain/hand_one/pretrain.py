"""Contrastive pre-training on CIFAR-10; run alone or under torchrun."""
import argparse
import math
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from torchvision import datasets

from evaluation import extract, knn_accuracy, plain_loaders
from simclr import LARS, SimCLR, TwoViews, nt_xent


def setup():
    if "RANK" not in os.environ:
        return 0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    local = int(os.environ["LOCAL_RANK"])
    if cuda:
        torch.cuda.set_device(local)
    return dist.get_rank(), dist.get_world_size(), torch.device("cuda", local) if cuda else torch.device("cpu")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--data", default="data")
    p.add_argument("--out", default="simclr.pt")
    p.add_argument("--arch", default="resnet18")
    p.add_argument("--epochs", type=int, default=500)
    p.add_argument("--warmup-epochs", type=int, default=10)
    p.add_argument("--batch-size", type=int, default=512, help="per process")
    p.add_argument("--lr", type=float, default=1.0, help="per 256 images of global batch")
    p.add_argument("--weight-decay", type=float, default=1e-6)
    p.add_argument("--temperature", type=float, default=0.5)
    p.add_argument("--knn-every", type=int, default=10)
    p.add_argument("--workers", type=int, default=8)
    args = p.parse_args()

    rank, world, device = setup()
    if rank == 0:
        datasets.CIFAR10(args.data, download=True)
    if world > 1:
        dist.barrier()
    data = datasets.CIFAR10(args.data, train=True, transform=TwoViews(32))
    sampler = DistributedSampler(data) if world > 1 else None
    loader = DataLoader(data, args.batch_size, sampler is None, sampler, num_workers=args.workers, drop_last=True)

    model = SimCLR(args.arch).to(device)
    net = model
    if world > 1:
        if device.type == "cuda":  # synchronised statistics exist on GPUs only
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        net = DistributedDataParallel(model)
    peak = args.lr * args.batch_size * world / 256
    opt = LARS(net.parameters(), lr=peak, weight_decay=args.weight_decay)
    warm, total = args.warmup_epochs * len(loader), args.epochs * len(loader)

    def factor(i):
        if i < warm:
            return (i + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (i - warm) / (total - warm)))

    schedule = torch.optim.lr_scheduler.LambdaLR(opt, factor)
    scaler = torch.cuda.amp.GradScaler(enabled=device.type == "cuda")

    for epoch in range(1, args.epochs + 1):
        if sampler:
            sampler.set_epoch(epoch)
        net.train()
        seen = 0.0
        for (a, b), _ in loader:
            views = torch.cat((a, b)).to(device, non_blocking=True)
            with torch.autocast(device.type, enabled=device.type == "cuda"):
                za, zb = net(views).chunk(2)
            loss = nt_xent(za, zb, args.temperature)
            opt.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(opt)
            scaler.update()
            schedule.step()
            seen += loss.item()
        if rank == 0:
            line = f"epoch {epoch}: loss {seen / len(loader):.4f}"
            if epoch % args.knn_every == 0 or epoch == args.epochs:
                bank, test = (extract(model.encoder, part, device) for part in plain_loaders(args.data))
                line += f", kNN {knn_accuracy(*bank, *test):.2f}"
                torch.save({"arch": args.arch, "epoch": epoch, "model": model.state_dict()}, args.out)
            print(line, flush=True)
        if world > 1:
            dist.barrier()
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()

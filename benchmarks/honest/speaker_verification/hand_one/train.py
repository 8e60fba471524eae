"""Train an ECAPA-TDNN on a directory of speaker folders."""
import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from audio import LogMel, SpeakerFolders, SpecAugment
from ecapa import AAMSoftmax, EcapaTDNN


def parse_args():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", help="directory with one folder per speaker")
    p.add_argument("--noise", help="directory with noise recordings (default: white noise)")
    p.add_argument("--out", type=Path, default=Path("runs/ecapa"))
    p.add_argument("--resume", type=Path)
    p.add_argument("--epochs", type=int, default=40)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--seconds", type=float, default=2.0)
    p.add_argument("--channels", type=int, default=512)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--schedule", choices=["cyclic", "cosine"], default="cyclic")
    p.add_argument("--cycle-epochs", type=int, default=8, help="length of one triangular cycle")
    p.add_argument("--margin", type=float, default=0.2)
    p.add_argument("--scale", type=float, default=30.0)
    p.add_argument("--easy-margin", action="store_true")
    p.add_argument("--workers", type=int, default=4)
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def make_schedule(optimizer, args, steps_per_epoch):
    if args.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, args.epochs * steps_per_epoch, eta_min=args.lr * 1e-3)
    half = max(1, args.cycle_epochs * steps_per_epoch // 2)
    return torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=args.lr * 1e-3, max_lr=args.lr, step_size_up=half,
        mode="triangular2", cycle_momentum=False)


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = SpeakerFolders(args.data, args.seconds, args.noise)
    loader = DataLoader(dataset, args.batch_size, shuffle=True, drop_last=True,
                        num_workers=args.workers, pin_memory=device.type == "cuda")
    if len(loader) == 0:
        raise SystemExit("fewer recordings than one batch; lower --batch-size")
    print(f"{len(dataset)} recordings, {len(dataset.speakers)} speakers, device {device}")

    features, augment = LogMel().to(device), SpecAugment()
    model = EcapaTDNN(channels=args.channels).to(device)
    criterion = AAMSoftmax(192, len(dataset.speakers), args.margin, args.scale,
                           args.easy_margin).to(device)
    optimizer = torch.optim.Adam([
        {"params": model.parameters(), "weight_decay": 2e-5},
        {"params": criterion.parameters(), "weight_decay": 2e-4},
    ], lr=args.lr)
    schedule = make_schedule(optimizer, args, len(loader))
    parts = {"model": model, "criterion": criterion, "optimizer": optimizer, "schedule": schedule}

    first_epoch = 0
    if args.resume:
        saved = torch.load(args.resume, map_location=device, weights_only=False)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        first_epoch = saved["epoch"] + 1

    args.out.mkdir(parents=True, exist_ok=True)
    for epoch in range(first_epoch, args.epochs):
        model.train()
        total_loss = total_acc = 0.0
        for wave, label in loader:
            wave, label = wave.to(device), label.to(device)
            loss, acc = criterion(model(augment(features(wave))), label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total_loss += loss.item()
            total_acc += acc.item()
        print(f"epoch {epoch}: loss {total_loss / len(loader):.4f} "
              f"acc {total_acc / len(loader):.4f} lr {schedule.get_last_lr()[0]:.2e}")
        state = {name: part.state_dict() for name, part in parts.items()}
        state.update(epoch=epoch, channels=args.channels, speakers=dataset.speakers)
        torch.save(state, args.out / f"epoch{epoch:03d}.pt")


if __name__ == "__main__":
    main()

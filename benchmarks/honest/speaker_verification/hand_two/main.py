"""Train an ECAPA-TDNN speaker encoder and evaluate it on a trial list."""
import argparse
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from dataset import SpeakerDataset
from ecapa import AAMSoftmax, EcapaTdnn
from frontend import LogMel, SpecAugment
from scoring import embed_files, equal_error_rate, min_dcf, read_trials, score_trials


def parse_args():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--train-dir")
    p.add_argument("--noise-dir")
    p.add_argument("--trials")
    p.add_argument("--trials-dir", default=".")
    p.add_argument("--cohort", type=int, default=0, help="speakers in the s-norm cohort, 0 for none")
    p.add_argument("--out", default="exp")
    p.add_argument("--resume", help="checkpoint to start from")
    p.add_argument("--epochs", type=int, default=40)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--schedule", choices=["cyclic", "cosine"], default="cyclic")
    p.add_argument("--margin", type=float, default=0.2)
    p.add_argument("--easy-margin", action="store_true")
    p.add_argument("--channels", type=int, default=512)
    p.add_argument("--workers", type=int, default=4)
    p.add_argument("--eval-only", action="store_true")
    return p.parse_args()


def make_scheduler(kind, optimizer, lr, total_steps):
    if kind == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps, eta_min=lr * 1e-3)
    return torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=lr * 1e-3, max_lr=lr, step_size_up=max(total_steps // 8, 1),
        mode="triangular2", cycle_momentum=False,
    )


def evaluate(args, frontend, encoder, device):
    trials = read_trials(args.trials)
    names = [n for _, a, b in trials for n in (a, b)]
    table = embed_files(frontend, encoder, args.trials_dir, names, device)
    cohort = None
    if args.cohort and args.train_dir:
        first = {}  # one utterance per training speaker
        for path, label in SpeakerDataset(args.train_dir).items:
            first.setdefault(label, str(path.resolve()))
        chosen = list(first.values())[: args.cohort]
        cohort = np.stack(list(embed_files(frontend, encoder, "/", chosen, device).values()))
    scores = score_trials(trials, table, cohort)
    labels = [t[0] for t in trials]
    print(f"EER {100 * equal_error_rate(scores, labels):.2f}%  minDCF {min_dcf(scores, labels):.4f}")


def main():
    args = parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    frontend, augment = LogMel().to(device), SpecAugment()
    encoder = EcapaTdnn(channels=args.channels).to(device)
    state = torch.load(args.resume, map_location=device) if args.resume else None
    if state:
        encoder.load_state_dict(state["encoder"])
    if args.eval_only:
        return evaluate(args, frontend, encoder, device)

    data = SpeakerDataset(args.train_dir, noise_root=args.noise_dir)
    loader = DataLoader(data, args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers)
    head = AAMSoftmax(192, len(data.speakers), args.margin, easy_margin=args.easy_margin).to(device)
    params = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(params, lr=args.lr, weight_decay=2e-5)
    scheduler = make_scheduler(args.schedule, optimizer, args.lr, args.epochs * len(loader))
    first_epoch = 0
    if state:
        head.load_state_dict(state["head"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        first_epoch = state["epoch"] + 1

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for epoch in range(first_epoch, args.epochs):
        encoder.train()
        sums = np.zeros(2)
        for wav, label in loader:
            feats = augment(frontend(wav.to(device)))
            loss, acc = head(encoder(feats), label.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, 5.0)
            optimizer.step()
            scheduler.step()
            sums += loss.item(), acc.item()
        mean_loss, mean_acc = sums / max(len(loader), 1)
        print(f"epoch {epoch:3d}  loss {mean_loss:.4f}  acc {mean_acc:.3f}  lr {scheduler.get_last_lr()[0]:.2e}")
        torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "epoch": epoch,
                    "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()},
                   out / f"epoch_{epoch:03d}.pt")
        if args.trials:
            evaluate(args, frontend, encoder, device)


if __name__ == "__main__":
    main()

"""Train and evaluate:  python main.py --data /path/to/coco"""
import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.ops import box_iou

from coco import CocoBoxes, collate
from losses import SetCriterion, to_corners
from model import MiniDETR


def average_precision(scores, hits, num_truth):
    """Area under the interpolated precision/recall curve."""
    hits = hits[scores.argsort(descending=True)].double()
    tp = hits.cumsum(0)
    precision = tp / torch.arange(1, len(hits) + 1)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    return (envelope * hits).sum().item() / num_truth


@torch.no_grad()
def evaluate(model, loader, num_classes, device, threshold=0.5):
    model.eval()
    scores, hits = [[] for _ in range(num_classes)], [[] for _ in range(num_classes)]
    truth = [0] * num_classes
    for images, mask, targets in loader:
        out = model(images.to(device), mask.to(device))[-1]
        probs = out["logits"].softmax(-1)[..., :-1].cpu()
        boxes = to_corners(out["boxes"]).cpu()
        for p, b, target in zip(probs, boxes, targets):
            conf, label = p.max(-1)
            for c in range(num_classes):
                gt = to_corners(target["boxes"][target["labels"] == c])
                truth[c] += len(gt)
                keep = (label == c).nonzero().flatten()
                keep = keep[conf[keep].argsort(descending=True)]
                iou = box_iou(b[keep], gt)
                for k in range(len(keep)):
                    best, j = iou[k].max(0) if len(gt) else (torch.tensor(0.0), None)
                    hit = best.item() >= threshold
                    if hit:
                        iou[:, j] = -1  # each object may be claimed only once
                    scores[c].append(conf[keep[k]].item())
                    hits[c].append(hit)
    aps = [average_precision(torch.tensor(scores[c]), torch.tensor(hits[c]), truth[c]) if hits[c] else 0.0
           for c in range(num_classes) if truth[c]]
    return sum(aps) / max(len(aps), 1)


def train_epoch(model, criterion, loader, optimizer, device, clip, epoch):
    model.train()
    for step, (images, mask, targets) in enumerate(loader):
        targets = [{k: t[k].to(device) for k in ("boxes", "labels")} for t in targets]
        loss, terms = criterion(model(images.to(device), mask.to(device)), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if step % 50 == 0:
            detail = " ".join(f"{k}={v:.3f}" for k, v in terms.items())
            print(f"epoch {epoch} [{step}/{len(loader)}] loss={loss.item():.3f} {detail}", flush=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True, help="folder with train2017, val2017, annotations")
    ap.add_argument("--out", type=Path, default=Path("runs"))
    ap.add_argument("--backbone", default="resnet50")
    ap.add_argument("--queries", type=int, default=100)
    ap.add_argument("--epochs", type=int, default=100)
    ap.add_argument("--batch-size", type=int, default=8)
    ap.add_argument("--lr", type=float, default=1e-4)
    ap.add_argument("--lr-backbone", type=float, default=1e-5)
    ap.add_argument("--weight-decay", type=float, default=1e-4)
    ap.add_argument("--clip", type=float, default=0.1)
    ap.add_argument("--workers", type=int, default=4)
    args = ap.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ann = args.data / "annotations"
    train_set = CocoBoxes(args.data / "train2017", ann / "instances_train2017.json", train=True)
    val_set = CocoBoxes(args.data / "val2017", ann / "instances_val2017.json")
    common = dict(batch_size=args.batch_size, num_workers=args.workers, collate_fn=collate)
    train_loader = DataLoader(train_set, shuffle=True, drop_last=True, **common)
    val_loader = DataLoader(val_set, **common)

    num_classes = len(train_set.class_names)
    model = MiniDETR(num_classes, args.queries, backbone=args.backbone).to(device)
    body = [p for n, p in model.named_parameters() if not n.startswith("backbone.")]
    vision = [p for p in model.backbone.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([{"params": body}, {"params": vision, "lr": args.lr_backbone}],
                                  lr=args.lr, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(int(args.epochs * 0.7), 1))
    best = 0.0
    args.out.mkdir(parents=True, exist_ok=True)
    criterion = SetCriterion(num_classes)
    for epoch in range(args.epochs):
        train_epoch(model, criterion, train_loader, optimizer, device, args.clip, epoch)
        schedule.step()
        ap50 = evaluate(model, val_loader, num_classes, device)
        print(f"epoch {epoch}: AP50 = {ap50:.4f}")
        torch.save(model.state_dict(), args.out / "last.pt")
        if ap50 > best:
            best = ap50
            torch.save(model.state_dict(), args.out / "best.pt")


if __name__ == "__main__":
    main()

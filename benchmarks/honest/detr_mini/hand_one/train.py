import argparse
from collections import defaultdict

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision.ops import box_iou

from coco_data import CocoBoxes, pad_batch
from losses import SetLoss, corners
from model import MiniDETR

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_device(batch):
    images, mask, targets = batch
    targets = [{k: v.to(device) for k, v in t.items()} for t in targets]
    return images.to(device), mask.to(device), targets


def area_under_pr(scores, hits, num_truth):
    order = np.argsort(-np.asarray(scores), kind="stable")
    tp = np.cumsum(np.asarray(hits, dtype=float)[order])
    recall = tp / num_truth
    precision = np.maximum.accumulate((tp / np.arange(1, len(tp) + 1))[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


@torch.no_grad()
def average_precision(model, loader, iou_threshold=0.5):
    """AP at one IoU threshold, averaged over the classes that occur in the data."""
    model.eval()
    scores, hits, totals = defaultdict(list), defaultdict(list), defaultdict(int)
    for batch in loader:
        images, mask, targets = to_device(batch)
        logits, boxes = model(images, mask)[-1]
        best, label = logits.softmax(-1)[..., :-1].max(-1)
        for b, t in enumerate(targets):
            truth_label = t["labels"].cpu()
            for c in truth_label.tolist():
                totals[c] += 1
            iou = box_iou(corners(boxes[b]), corners(t["boxes"])).cpu()
            taken = torch.zeros(len(truth_label), dtype=torch.bool)
            for q in best[b].argsort(descending=True).tolist():
                c = label[b, q].item()
                free = iou[q].masked_fill((truth_label != c) | taken, -1.0)
                hit = len(free) > 0 and free.max().item() >= iou_threshold
                if hit:
                    taken[free.argmax()] = True
                scores[c].append(best[b, q].item())
                hits[c].append(hit)
    aps = [area_under_pr(scores[c], hits[c], n) if scores[c] else 0.0 for c, n in totals.items()]
    return sum(aps) / max(len(aps), 1)


def main():
    ap = argparse.ArgumentParser(description="Train a small DETR")
    ap.add_argument("--train", nargs=2, metavar=("IMAGES", "JSON"), required=True)
    ap.add_argument("--val", nargs=2, metavar=("IMAGES", "JSON"), required=True)
    ap.add_argument("--epochs", type=int, default=100)
    ap.add_argument("--batch-size", type=int, default=8)
    ap.add_argument("--lr", type=float, default=1e-4)
    ap.add_argument("--backbone-lr", type=float, default=1e-5)
    ap.add_argument("--out", default="detr_mini.pt")
    args = ap.parse_args()

    train_set, val_set = CocoBoxes(*args.train, augment=True), CocoBoxes(*args.val)
    loader = DataLoader(train_set, args.batch_size, shuffle=True, num_workers=4,
                        collate_fn=pad_batch, drop_last=True)
    val_loader = DataLoader(val_set, args.batch_size, num_workers=4, collate_fn=pad_batch)

    num_classes = len(train_set.class_names)
    model = MiniDETR(num_classes).to(device)
    criterion = SetLoss(num_classes).to(device)
    trunk = [p for p in model.backbone.parameters() if p.requires_grad]
    rest = [p for n, p in model.named_parameters() if not n.startswith("backbone.")]
    optimizer = torch.optim.AdamW([{"params": rest}, {"params": trunk, "lr": args.backbone_lr}],
                                  lr=args.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(1, args.epochs * 3 // 4))

    best = -1.0
    for epoch in range(1, args.epochs + 1):
        model.train()
        for step, batch in enumerate(loader):
            images, mask, targets = to_device(batch)
            loss, parts = criterion(model(images, mask), targets)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            if step % 50 == 0:
                print(f"epoch {epoch} step {step}/{len(loader)} loss {loss.item():.3f}",
                      *(f"{k} {v:.3f}" for k, v in parts.items()))
        schedule.step()

        score = average_precision(model, val_loader)
        print(f"epoch {epoch} AP50 {score:.4f}")
        if score > best:
            best = score
            torch.save({"model": model.state_dict(), "classes": train_set.class_names}, args.out)


if __name__ == "__main__":
    main()

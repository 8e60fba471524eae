"""Bipartite matching and the set criterion."""
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_convert, generalized_box_iou


def to_corners(boxes):
    return box_convert(boxes, "cxcywh", "xyxy")


class SetCriterion:
    def __init__(self, num_classes, w_class=1.0, w_l1=5.0, w_giou=2.0, empty_weight=0.1):
        self.num_classes = num_classes
        self.w_class, self.w_l1, self.w_giou = w_class, w_l1, w_giou
        self.class_weights = torch.ones(num_classes + 1)
        self.class_weights[-1] = empty_weight

    @torch.no_grad()
    def match(self, logits, boxes, target):
        """Best one-to-one assignment for one image: (query indices, target indices)."""
        cost = -self.w_class * logits.softmax(-1)[:, target["labels"]]
        cost = cost + self.w_l1 * torch.cdist(boxes, target["boxes"], p=1)
        cost = cost - self.w_giou * generalized_box_iou(to_corners(boxes), to_corners(target["boxes"]))
        rows, cols = linear_sum_assignment(cost.cpu().numpy())
        return torch.as_tensor(rows, device=boxes.device), torch.as_tensor(cols, device=boxes.device)

    def layer_loss(self, out, targets):
        logits, boxes = out["logits"], out["boxes"]
        classes = torch.full(logits.shape[:2], self.num_classes, dtype=torch.long, device=logits.device)
        l1 = giou = boxes.sum() * 0
        count = max(sum(len(t["labels"]) for t in targets), 1)
        for i, target in enumerate(targets):
            if len(target["labels"]) == 0:
                continue
            q, t = self.match(logits[i], boxes[i], target)
            classes[i, q] = target["labels"][t]
            pred, true = boxes[i, q], target["boxes"][t]
            l1 = l1 + F.l1_loss(pred, true, reduction="sum")
            giou = giou + (1 - generalized_box_iou(to_corners(pred), to_corners(true)).diagonal()).sum()
        ce = F.cross_entropy(logits.transpose(1, 2), classes, self.class_weights.to(logits.device))
        return {"class": self.w_class * ce, "l1": self.w_l1 * l1 / count, "giou": self.w_giou * giou / count}

    def __call__(self, outputs, targets):
        """Sum over decoder layers; also returns the last layer's terms for logging."""
        total = 0
        for out in outputs:
            terms = self.layer_loss(out, targets)
            total = total + sum(terms.values())
        return total, {k: v.item() for k, v in terms.items()}

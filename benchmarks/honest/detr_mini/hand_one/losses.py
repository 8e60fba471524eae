import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import nn
from torchvision.ops import box_convert, generalized_box_iou


def corners(boxes):
    return box_convert(boxes, "cxcywh", "xyxy")


class SetLoss(nn.Module):
    def __init__(self, num_classes, class_weight=1.0, l1_weight=5.0, giou_weight=2.0, empty_weight=0.1):
        super().__init__()
        self.num_classes = num_classes
        self.weights = {"class": class_weight, "l1": l1_weight, "giou": giou_weight}
        balance = torch.ones(num_classes + 1)
        balance[-1] = empty_weight
        self.register_buffer("balance", balance)

    @torch.no_grad()
    def match(self, logits, boxes, targets):
        """Cheapest one-to-one assignment per image, as (query index, object index)."""
        pairs = []
        for prob, box, t in zip(logits.softmax(-1), boxes, targets):
            cost = (-self.weights["class"] * prob[:, t["labels"]]
                    + self.weights["l1"] * torch.cdist(box, t["boxes"], p=1)
                    - self.weights["giou"] * generalized_box_iou(corners(box), corners(t["boxes"])))
            q, o = linear_sum_assignment(cost.cpu().numpy())
            pairs.append((torch.as_tensor(q, device=box.device), torch.as_tensor(o, device=box.device)))
        return pairs

    def layer_loss(self, logits, boxes, targets):
        pairs = self.match(logits, boxes, targets)
        wanted = torch.full(logits.shape[:2], self.num_classes, device=logits.device)
        for row, (q, o), t in zip(wanted, pairs, targets):
            row[q] = t["labels"][o]
        found = torch.cat([b[q] for b, (q, _) in zip(boxes, pairs)])
        truth = torch.cat([t["boxes"][o] for t, (_, o) in zip(targets, pairs)])
        count = max(len(truth), 1)
        giou = generalized_box_iou(corners(found), corners(truth)).diagonal()
        return {
            "class": F.cross_entropy(logits.transpose(1, 2), wanted, weight=self.balance),
            "l1": F.l1_loss(found, truth, reduction="sum") / count,
            "giou": (1 - giou).sum() / count,
        }

    def forward(self, outputs, targets):
        """Total over all decoder layers; the reported parts are those of the last layer."""
        total = 0.0
        for logits, boxes in outputs:
            parts = self.layer_loss(logits, boxes, targets)
            total = total + sum(self.weights[k] * v for k, v in parts.items())
        return total, {k: v.item() for k, v in parts.items()}

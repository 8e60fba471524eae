"""The contrastive loss: in-batch pairs, a queue of momentum embeddings, and heavier weight on hard negatives.

For a query u with its partner k+ and negatives k_j, similarities s = u.k and inverse temperature b,

    loss = -log  exp(b s+) / ( exp(b s+) + sum_j w_j exp(b s_j) ),    w_j = N softmax_j(a s_j)

so that the weights average to one, and a = 0 is plain InfoNCE.
"""

import torch
import torch.nn.functional as F


def weighted_nce(u, keys, queue, beta, hardness):
    """Mean loss of queries u (B, e) whose partners are the rows of keys (B, e); queue (Q, e) is all negatives."""
    b = len(u)
    s = torch.einsum("be,ke->bk", u, torch.cat([keys, queue]))  # (B, B+Q)
    own = F.pad(torch.eye(b, dtype=torch.bool, device=u.device), (0, len(queue)))
    n = s.shape[1] - 1
    a = (hardness * s.detach()).masked_fill(own, -torch.inf)
    log_w = a.log_softmax(1) + torch.tensor(float(max(n, 1))).log()
    z = beta * s + log_w.masked_fill(own, 0.0)
    return F.cross_entropy(z, torch.arange(b, device=u.device))


def symmetric_loss(p, image, text, slow_image, slow_text, queue, hardness):
    """Half image to text and half text to image; keys come from the slow encoders and carry no gradient."""
    beta = p["log_beta"].exp()
    negatives = queue_view(queue)
    return 0.5 * (
        weighted_nce(image, slow_text, negatives["text"], beta, hardness)
        + weighted_nce(text, slow_image, negatives["image"], beta, hardness)
    )


def new_queue(size, e, device):
    """Ring buffers of both kinds of embedding; pairs sit at equal places."""
    return {"image": torch.zeros(size, e, device=device), "text": torch.zeros(size, e, device=device), "seen": 0}


def queue_view(queue):
    n = min(queue["seen"], len(queue["image"]))
    return {k: queue[k][:n] for k in ("image", "text")}


@torch.no_grad()
def push(queue, image, text):
    size = len(queue["image"])
    if size:
        at = (queue["seen"] + torch.arange(len(image), device=image.device)) % size
        keep = slice(max(len(image) - size, 0), None)  # a batch larger than the ring: its end
        queue["image"][at[keep]] = image[keep]
        queue["text"][at[keep]] = text[keep]
    queue["seen"] += len(image)


@torch.no_grad()
def follow(slow, fast, m):
    """slow <- m slow + (1 - m) fast."""
    for k, t in slow.items():
        t.lerp_(fast[k], 1 - m)

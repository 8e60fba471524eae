"""What the matcher minimises, and the memory of earlier teacher outputs it is compared with.

Negatives that look like the anchor count for more than easy ones: their exponentials are multiplied by
weights from a second softmax, normalised to a mean of one.
"""

import torch
import torch.nn.functional as F


def focused_info_nce(anchors, candidates, bank, sharpness, focus):
    """Anchor i belongs to candidate i; whatever is in the bank belongs to none of the anchors."""
    count = len(anchors)
    scores = torch.einsum(
        "be,ke->bk",
        anchors,
        torch.cat([candidates, bank]),
    )
    match = F.pad(
        torch.eye(count, dtype=torch.bool, device=anchors.device),
        (0, len(bank)),
    )
    others = scores.shape[1] - 1
    emphasis = (focus * scores.detach()).masked_fill(match, -torch.inf)
    log_weight = emphasis.log_softmax(1) + torch.tensor(float(max(others, 1))).log()
    logits = sharpness * scores + log_weight.masked_fill(match, 0.0)
    return F.cross_entropy(
        logits,
        torch.arange(count, device=anchors.device),
    )


def two_way_loss(
    weights,
    picture,
    caption,
    teacher_picture,
    teacher_caption,
    memory,
    focus,
):
    """Mean of both directions; the teacher's vectors are the candidates."""
    sharpness = weights["log_sharpness"].exp()
    stored = filled_part(memory)
    return 0.5 * (
        focused_info_nce(picture, teacher_caption, stored["caption"], sharpness, focus)
        + focused_info_nce(caption, teacher_picture, stored["picture"], sharpness, focus)
    )


def empty_memory(capacity, dim, where):
    """Two circular stores written in step."""
    return {
        "picture": torch.zeros(capacity, dim, device=where),
        "caption": torch.zeros(capacity, dim, device=where),
        "written": 0,
    }


def filled_part(memory):
    used = min(memory["written"], len(memory["picture"]))
    return {side: memory[side][:used] for side in ("picture", "caption")}


@torch.no_grad()
def remember(memory, picture, caption):
    capacity = len(memory["picture"])
    if capacity:
        slots = (memory["written"] + torch.arange(len(picture), device=picture.device)) % capacity
        # only the newest rows if not all of them fit
        newest = slice(max(len(picture) - capacity, 0), None)
        memory["picture"][slots[newest]] = picture[newest]
        memory["caption"][slots[newest]] = caption[newest]
    memory["written"] += len(picture)


@torch.no_grad()
def update_teacher(teacher, student, inertia):
    """Move the teacher a small step to the student."""
    for key, weight in teacher.items():
        weight.lerp_(student[key], 1 - inertia)

"""Trial scoring (cosine, optional s-norm) and detection metrics."""
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from dataset import read_audio


def read_trials(path):
    """Lines of `label enrol test`, label 1 for the same speaker."""
    rows = [line.split() for line in Path(path).read_text().splitlines() if line.strip()]
    return [(int(label), enrol, test) for label, enrol, test in rows]


@torch.no_grad()
def embed_files(frontend, encoder, root, names, device):
    encoder.eval()
    table = {}
    for name in sorted(set(names)):
        wav = torch.from_numpy(read_audio(Path(root) / name)).unsqueeze(0).to(device)
        table[name] = F.normalize(encoder(frontend(wav)), dim=1).squeeze(0).cpu().numpy()
    return table


def score_trials(trials, table, cohort=None, top_k=300):
    """Cosine scores; given a (n, dim) cohort of unit vectors, adaptive s-norm is applied."""
    scores = np.array([table[a] @ table[b] for _, a, b in trials])
    if cohort is None:
        return scores
    stats = {}
    for name, emb in table.items():
        best = np.sort(cohort @ emb)[-top_k:]
        stats[name] = best.mean(), best.std() + 1e-8
    enrol = np.array([stats[a] for _, a, _ in trials])
    test = np.array([stats[b] for _, _, b in trials])
    return 0.5 * ((scores - enrol[:, 0]) / enrol[:, 1] + (scores - test[:, 0]) / test[:, 1])


def error_rates(scores, labels):
    """Miss and false-alarm rates as the threshold moves up through the sorted scores."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    order = np.argsort(scores, kind="stable")
    ranked, is_target = scores[order], labels[order] == 1
    miss = np.r_[0, np.cumsum(is_target)] / max(is_target.sum(), 1)
    false_alarm = 1 - np.r_[0, np.cumsum(~is_target)] / max((~is_target).sum(), 1)
    valid = np.r_[True, ranked[1:] != ranked[:-1], True]  # never cut between tied scores
    return miss[valid], false_alarm[valid]


def equal_error_rate(scores, labels):
    miss, fa = error_rates(scores, labels)
    gap = miss - fa
    i = int(np.argmax(gap >= 0))
    if i == 0:
        return float(miss[0])
    t = -gap[i - 1] / (gap[i] - gap[i - 1])
    return float(miss[i - 1] + t * (miss[i] - miss[i - 1]))


def min_dcf(scores, labels, p_target=0.01, c_miss=1.0, c_fa=1.0):
    miss, fa = error_rates(scores, labels)
    cost = c_miss * p_target * miss + c_fa * (1 - p_target) * fa
    return float(cost.min() / min(c_miss * p_target, c_fa * (1 - p_target)))

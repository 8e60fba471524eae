"""The complete model and its training step."""

import torch
from torch import nn
from torch.nn import functional as F

from blocks import ConformerLayer, FrameStacker
from fbank import Fbank, augment, padding_free


class Asr(nn.Module):
    def __init__(self, n_vocab=32, width=256, n_layers=12, n_mel=80, null=0, **layer_args):
        super().__init__()
        self.null = null
        self.fbank = Fbank(n_mel)
        self.stacker = FrameStacker(n_mel, width)
        self.encoder = nn.ModuleList(ConformerLayer(width, **layer_args) for _ in range(n_layers))
        self.out = nn.Linear(width, n_vocab)

    def encode(self, audio, n_samples):
        y, n = self.fbank(audio, n_samples)
        if self.training:
            y = augment(y, n)
        y, n = self.stacker(y, n)
        keep = padding_free(n, y.size(1))
        for layer in self.encoder:
            y = layer(y, keep)
        return y, n

    def forward(self, audio, n_samples):
        y, n = self.encode(audio, n_samples)
        return F.log_softmax(self.out(y), -1), n

    def training_loss(self, audio, n_samples, transcripts):
        logp, n = self.forward(audio, n_samples)
        n_target = []
        for t in transcripts:
            n_target.append(t.numel())
        flat = torch.cat(transcripts, 0)
        n_target = torch.tensor(n_target, device=audio.device)
        logp = logp.permute(1, 0, 2)
        return F.ctc_loss(logp, flat, n, n_target, self.null, zero_infinity=True)


def fit_one_batch(net, audio, n_samples, transcripts, steps=60, lr=1e-3, every=20):
    adam = torch.optim.AdamW(net.parameters(), lr)
    history = []
    for i in range(steps):
        adam.zero_grad()
        loss = net.training_loss(audio, n_samples, transcripts)
        loss.backward()
        adam.step()
        history.append(loss.item())
        if not i % every:
            print(i, round(history[-1], 3))
    return history

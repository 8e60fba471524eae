"""Speaker-folder dataset: root/<speaker>/**/*.wav"""
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from torch.utils.data import Dataset

AUDIO_EXT = {".wav", ".flac"}


def list_audio(root):
    return sorted(p for p in Path(root).rglob("*") if p.suffix.lower() in AUDIO_EXT)


def read_audio(path, sample_rate=16000, crop=None):
    """Mono float32 signal; with `crop`, a random stretch of exactly that many samples."""
    info = sf.info(str(path))
    if info.samplerate != sample_rate:
        raise ValueError(f"{path}: expected {sample_rate} Hz, found {info.samplerate} Hz")
    start, count = 0, -1
    if crop is not None and info.frames > crop:
        start, count = int(torch.randint(info.frames - crop + 1, (1,))), crop
    wav, _ = sf.read(str(path), frames=count, start=start, dtype="float32", always_2d=True)
    wav = wav.mean(axis=1)
    if crop is not None and len(wav) < crop:
        wav = np.pad(wav, (0, crop - len(wav)), mode="wrap")
    return wav


def mix_at_snr(clean, noise, snr_db):
    p_clean = np.mean(clean**2) + 1e-10
    p_noise = np.mean(noise**2) + 1e-10
    gain = np.sqrt(p_clean / p_noise * 10 ** (-snr_db / 10))
    return (clean + gain * noise).astype(np.float32)


class SpeakerDataset(Dataset):
    def __init__(self, root, seconds=2.0, sample_rate=16000, noise_root=None, noise_prob=0.5, snr=(5, 20)):
        self.speakers = sorted(d.name for d in Path(root).iterdir() if d.is_dir())
        self.items = [
            (path, label)
            for label, name in enumerate(self.speakers)
            for path in list_audio(Path(root) / name)
        ]
        if not self.items:
            raise RuntimeError(f"no audio found under {root}")
        self.noises = list_audio(noise_root) if noise_root else []
        self.crop = int(seconds * sample_rate)
        self.sample_rate = sample_rate
        self.noise_prob, self.snr = noise_prob, snr

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        path, label = self.items[index]
        wav = read_audio(path, self.sample_rate, self.crop)
        if torch.rand(()) < self.noise_prob:
            wav = mix_at_snr(wav, self._noise(), float(torch.empty(()).uniform_(*self.snr)))
        return torch.from_numpy(wav), label

    def _noise(self):
        if not self.noises:  # no recordings supplied: plain white noise
            return torch.randn(self.crop).numpy()
        pick = int(torch.randint(len(self.noises), (1,)))
        return read_audio(self.noises[pick], self.sample_rate, self.crop)

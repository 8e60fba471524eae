"""Log-mel layer and SpecAugment layer for Keras 3 (any backend)."""

import dataclasses

import keras
import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class MelParams:
    sampling_rate: int = 16000
    frame_seconds: float = 0.025
    stride_seconds: float = 0.010
    mel_bins: int = 80
    min_hertz: float = 20.0
    max_hertz: float = 7600.0
    pre_emphasis: float = 0.97

    @property
    def frame_size(self):
        return round(self.frame_seconds * self.sampling_rate)

    @property
    def frame_stride(self):
        return round(self.stride_seconds * self.sampling_rate)

    @property
    def fft_length(self):
        return 1 << (self.frame_size - 1).bit_length()


@dataclasses.dataclass(frozen=True)
class MaskParams:
    num_freq: int = 2
    max_freq_bins: int = 27
    num_time: int = 5
    max_time_ratio: float = 0.05


def hertz_to_mel(hertz):
    return 1127.0 * np.log1p(hertz / 700.0)


def mel_to_hertz(mel):
    return 700.0 * np.expm1(mel / 1127.0)


def mel_weight_matrix(params):
    """numpy array of shape (fft_length // 2 + 1, mel_bins)."""
    lower = hertz_to_mel(params.min_hertz)
    upper = hertz_to_mel(params.max_hertz)
    edges = mel_to_hertz(np.linspace(lower, upper, params.mel_bins + 2))
    start, peak, end = edges[:-2], edges[1:-1], edges[2:]
    frequencies = np.linspace(0.0, params.sampling_rate / 2, params.fft_length // 2 + 1)[:, np.newaxis]
    up_slope = (frequencies - start) / (peak - start)
    down_slope = (end - frequencies) / (end - peak)
    return np.maximum(np.minimum(up_slope, down_slope), 0.0).astype("float32")


def sequence_mask(sizes, max_size):
    return ops.arange(max_size)[None, :] < ops.expand_dims(sizes, 1)


class LogMelSpectrogram(keras.layers.Layer):
    def __init__(self, params, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.params = params
        # periodic Hann window, like in the original training
        n = np.arange(params.frame_size)
        self.hann = (0.5 - 0.5 * np.cos(2 * np.pi * n / params.frame_size)).astype("float32")
        self.mel_matrix = mel_weight_matrix(params)

    def frames_for(self, num_samples):
        return (num_samples - self.params.frame_size) // self.params.frame_stride + 1

    def call(self, audio, num_samples):
        p = self.params
        audio = ops.concatenate([audio[:, :1], audio[:, 1:] - p.pre_emphasis * audio[:, :-1]], axis=1)
        frames = ops.extract_sequences(audio, p.frame_size, p.frame_stride)
        real, imag = ops.rfft(frames * self.hann, fft_length=p.fft_length)
        power = ops.square(real) + ops.square(imag)
        log_mel = ops.log(ops.maximum(ops.matmul(power, self.mel_matrix), 1e-10))

        num_frames = self.frames_for(num_samples)
        mask = sequence_mask(num_frames, ops.shape(log_mel)[1])
        mask = ops.cast(ops.expand_dims(mask, -1), log_mel.dtype)
        n = ops.cast(ops.reshape(num_frames, (-1, 1, 1)), log_mel.dtype)
        mean = ops.sum(log_mel * mask, axis=1, keepdims=True) / n
        centered = (log_mel - mean) * mask
        stddev = ops.sqrt(ops.sum(ops.square(centered), axis=1, keepdims=True) / n)
        return ops.stop_gradient(centered / (stddev + 1e-5)), num_frames


class SpecAugmentLayer(keras.layers.Layer):
    """Active only when `training` is true."""

    def __init__(self, params, seed=None, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.params = params
        self.generator = keras.random.SeedGenerator(seed)

    def sample_mask(self, max_width, total, size):
        shape = ops.shape(max_width)
        width = keras.random.uniform(shape, seed=self.generator) * max_width
        begin = keras.random.uniform(shape, seed=self.generator) * ops.maximum(total - width, 0.0)
        positions = ops.cast(ops.arange(size), "float32")[None, :]
        after = positions >= ops.floor(begin)[:, None]
        before = positions < ops.floor(begin + width)[:, None]
        return ops.logical_and(after, before)

    def call(self, inputs, num_frames, training=False):
        if not training:
            return inputs
        batch_size, frames, bins = ops.shape(inputs)
        total = ops.cast(num_frames, inputs.dtype)
        for _ in range(self.params.num_time):
            mask = self.sample_mask(total * self.params.max_time_ratio, total, frames)
            inputs = ops.where(mask[:, :, None], 0.0, inputs)
        all_bins = ops.full((batch_size,), float(bins))
        limit = ops.full((batch_size,), float(self.params.max_freq_bins))
        for _ in range(self.params.num_freq):
            mask = self.sample_mask(limit, all_bins, bins)
            inputs = ops.where(mask[:, None, :], 0.0, inputs)
        return inputs


def pad_audio(clips):
    """List of 1D arrays -> (batch, longest), (batch,)."""
    sizes = np.array([len(c) for c in clips], dtype="int32")
    longest = sizes.max()
    return np.stack([np.pad(c, (0, longest - len(c))) for c in clips]), sizes

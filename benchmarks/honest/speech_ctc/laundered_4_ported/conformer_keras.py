"""Conformer encoder with clipped relative positions, Keras 3."""

import dataclasses

import keras
from keras import layers, ops
from preprocessing import LogMelSpectrogram, MaskParams, MelParams, SpecAugmentLayer, sequence_mask


@dataclasses.dataclass(frozen=True)
class ConformerParams:
    num_tokens: int = 32
    hidden_dim: int = 256
    attention_heads: int = 4
    num_blocks: int = 12
    ffn_expansion: int = 4
    conv_kernel: int = 31
    dropout_rate: float = 0.1
    max_relative: int = 128
    blank_id: int = 0
    mel: MelParams = MelParams()
    masking: MaskParams = MaskParams()


def layer_norm(name=None):
    return layers.LayerNormalization(epsilon=1e-5, name=name)


class ConvSubsampler(layers.Layer):
    """Two stride-2 convolutions, channels last: (B, T, M) -> (B, T / 4, hidden_dim)."""

    def __init__(self, hidden_dim, **kwargs):
        super().__init__(**kwargs)
        # torch pads one on both sides; "same" would not with stride two
        self.pads = [layers.ZeroPadding2D(1) for _ in range(2)]
        self.convs = [layers.Conv2D(hidden_dim, 3, strides=2, padding="valid") for _ in range(2)]
        self.dense = layers.Dense(hidden_dim)

    def call(self, x, sizes):
        x = ops.expand_dims(x, -1)
        for pad, conv in zip(self.pads, self.convs):
            x = ops.relu(conv(pad(x)))
            sizes = (sizes + 1) // 2
            mask = sequence_mask(sizes, ops.shape(x)[1])
            x = x * ops.cast(mask, x.dtype)[:, :, None, None]
        x = ops.transpose(x, (0, 1, 3, 2))
        b, t, c, m = ops.shape(x)
        return self.dense(ops.reshape(x, (b, t, c * m))), sizes


def feed_forward(params, name):
    return keras.Sequential(
        [
            layer_norm(),
            layers.Dense(params.hidden_dim * params.ffn_expansion),
            layers.Activation("silu"),
            layers.Dropout(params.dropout_rate),
            layers.Dense(params.hidden_dim),
            layers.Dropout(params.dropout_rate),
        ],
        name=name,
    )


class RelativeSelfAttention(layers.Layer):
    def __init__(self, params, **kwargs):
        super().__init__(**kwargs)
        self.heads = params.attention_heads
        self.depth = params.hidden_dim // params.attention_heads
        self.max_relative = params.max_relative
        self.layer_norm = layer_norm()
        self.qkv_dense = layers.Dense(3 * params.hidden_dim)
        self.out_dense = layers.Dense(params.hidden_dim)
        self.dropout = layers.Dropout(params.dropout_rate)

    def build(self, input_shape, *_):
        rows = 2 * self.max_relative + 1
        self.relative_table = self.add_weight(
            shape=(rows, self.depth), initializer=keras.initializers.RandomNormal(stddev=1.0), name="relative"
        )
        self.relative_bias = self.add_weight(
            shape=(self.heads, 1, self.depth), initializer="zeros", name="relative_bias"
        )
        self.built = True

    def relative_logits(self, query):
        """(B, h, T, d) -> (B, h, T, T)."""
        b, h, t, _ = ops.shape(query)
        by_distance = ops.matmul(query + self.relative_bias, ops.transpose(self.relative_table))
        positions = ops.arange(t)
        distance = positions[None, :] - positions[:, None]
        indices = ops.clip(distance, -self.max_relative, self.max_relative) + self.max_relative
        indices = ops.broadcast_to(indices, (b, h, t, t))
        return ops.take_along_axis(by_distance, indices, axis=-1)

    def call(self, x, mask, training=False):
        b, t, dim = ops.shape(x)
        qkv = ops.reshape(self.qkv_dense(self.layer_norm(x)), (b, t, 3, self.heads, self.depth))
        query, key, value = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), axis=0)
        logits = ops.matmul(query, ops.swapaxes(key, -2, -1)) + self.relative_logits(query)
        logits = logits * self.depth**-0.5
        logits = ops.where(mask[:, None, None, :], logits, -3.4e38)
        probs = self.dropout(ops.softmax(logits, axis=-1), training=training)
        context = ops.reshape(ops.swapaxes(ops.matmul(probs, value), 1, 2), (b, t, dim))
        return self.dropout(self.out_dense(context), training=training)


class ConvolutionLayer(layers.Layer):
    def __init__(self, params, **kwargs):
        super().__init__(**kwargs)
        self.layer_norm = layer_norm()
        self.glu_dense = layers.Dense(2 * params.hidden_dim)
        self.depthwise = layers.DepthwiseConv1D(params.conv_kernel, padding="same")
        self.mid_norm = layer_norm()
        self.out_dense = layers.Dense(params.hidden_dim)
        self.dropout = layers.Dropout(params.dropout_rate)

    def call(self, x, mask, training=False):
        x = ops.glu(self.glu_dense(self.layer_norm(x)), axis=-1)
        x = x * ops.cast(mask, x.dtype)[:, :, None]
        x = self.depthwise(x)
        x = self.out_dense(ops.silu(self.mid_norm(x)))
        return self.dropout(x, training=training)


class ConformerEncoderBlock(layers.Layer):
    def __init__(self, params, **kwargs):
        super().__init__(**kwargs)
        self.ffn_start = feed_forward(params, "ffn_start")
        self.attention = RelativeSelfAttention(params)
        self.convolution = ConvolutionLayer(params)
        self.ffn_end = feed_forward(params, "ffn_end")
        self.final_norm = layer_norm()

    def call(self, x, mask, training=False):
        x = x + 0.5 * self.ffn_start(x, training=training)
        x = x + self.attention(x, mask, training=training)
        x = x + self.convolution(x, mask, training=training)
        x = x + 0.5 * self.ffn_end(x, training=training)
        return self.final_norm(x)


class ConformerCTC(keras.Model):
    """Inputs {"audio": (B, N), "num_samples": (B,)}; outputs {"log_probs": (B, T, V), "sizes": (B,)}."""

    def __init__(self, params, **kwargs):
        super().__init__(**kwargs)
        self.params = params
        self.log_mel = LogMelSpectrogram(params.mel)
        self.spec_augment = SpecAugmentLayer(params.masking)
        self.subsampler = ConvSubsampler(params.hidden_dim)
        self.encoder_blocks = [ConformerEncoderBlock(params) for _ in range(params.num_blocks)]
        self.classifier = layers.Dense(params.num_tokens)

    def call(self, inputs, training=False):
        x, sizes = self.log_mel(inputs["audio"], inputs["num_samples"])
        x = self.spec_augment(x, sizes, training=training)
        x, sizes = self.subsampler(x, sizes)
        mask = sequence_mask(sizes, ops.shape(x)[1])
        for block in self.encoder_blocks:
            x = block(x, mask, training=training)
        return {"log_probs": ops.log_softmax(self.classifier(x), axis=-1), "sizes": sizes}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """y holds padded "tokens" (B, U) and their "token_counts" (B,); the loss is per token."""
        per_item = ops.ctc_loss(
            target=y["tokens"],
            output=y_pred["log_probs"],
            target_length=y["token_counts"],
            output_length=y_pred["sizes"],
            mask_index=self.params.blank_id,
        )
        per_item = ops.where(ops.isfinite(per_item), per_item, 0.0)
        return ops.mean(per_item / ops.cast(y["token_counts"], per_item.dtype))

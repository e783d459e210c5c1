"""Pieces of encoders and decoders: convolutions, residual blocks, the last upsampling."""

from typing import Any

import tensorflow as tf

from larq_dense.layers import ParallelConv2D

Tensor = Any


def conv_norm(
    x: Tensor, filters: int, kernel_size: int, name: str, strides: int = 1, relu: bool = True
) -> Tensor:
    """Apply a full-precision convolution, batch normalization and, by default, ReLU."""
    x = tf.keras.layers.Conv2D(
        filters, kernel_size, strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return tf.keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def residual(x: Tensor, name: str, **settings: Any) -> Tensor:
    """Apply one residual 3x3 convolution, `x + BN(activation(conv(x)))`.

    Args:
        x: `[batch, height, width, channels]`.
        name: What the layers' names begin with.
        **settings: Of `layers.ParallelConv2D`.
    """
    filters = x.shape[-1]
    (branch,) = ParallelConv2D(filters, branches=1, name=name, **settings)(x)
    return tf.keras.layers.Add(name=f"{name}_add")([x, branch])


def upsampled(x: Tensor, factor: int) -> Tensor:
    """Upsample logits bilinearly to the picture's size, in float32."""
    layer = tf.keras.layers.UpSampling2D(
        factor, interpolation="bilinear", name="logits", dtype="float32"
    )
    return layer(x)


def check_levels(decoder: str, features: list[Tensor], least: int) -> None:
    """Refuse features of too few sizes.

    Raises:
        ValueError: There are fewer than `least`.
    """
    if len(features) < least:
        raise ValueError(
            f"the decoder {decoder} joins features down to 1/{2**least} of the picture's size, but "
            f"the encoder ends at 1/{2 ** len(features)}; give it the option output_stride: "
            f"{2**least}, or choose another decoder."
        )

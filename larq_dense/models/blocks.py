"""Pieces of encoders and decoders: ordinary convolutions and residual binary ones."""

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

"""Pieces of encoders and decoders: ordinary convolutions and residual binary ones."""

from typing import Any

import tensorflow as tf

from larq_dense.layers import ParallelConv2D

Tensor = Any

# A sum of many branches begins close to what they are added to, as SkipInit does it (arXiv
# 2002.10444); docs/ablation.md holds what that is worth here.
RESIDUAL_SCALE = 0.25


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
    """Apply one residual 3x3 convolution, `x + BN(activation(conv(x)))`."""
    filters = x.shape[-1]
    (branch,) = ParallelConv2D(
        filters, branches=1, initial_scale=RESIDUAL_SCALE, name=name, **settings
    )(x)
    return tf.keras.layers.Add(name=f"{name}_add")([x, branch])

"""The four-stage FPN decoder with parallel upsampling."""

from typing import Any

import tensorflow as tf

from larq_dense.layers import (
    BinaryAttention,
    GatedMerge,
    NearestUpsampling2D,
    ParallelConv2D,
    ParallelUpsampling2D,
)
from larq_dense.layers._base import Precision
from larq_dense.models.blocks import conv_norm

Tensor = Any


def fpn_decoder(
    features: list[Tensor],
    *,
    filters: int,
    head_filters: int,
    branches: int,
    attention: str,
    upsampling: str,
    precision: Precision,
    estimator: str,
) -> Tensor:
    """Join an encoder's features from the coarsest to the finest, each stage at twice the size.

    A stage: parallel convolution → attention over the branches → gate and merge, all on a
    residual → parallel upsampling on a residual → the encoder's features of that size, brought to
    the stage's width by a full-precision 1x1 convolution (arXiv 2405.17776's critical path; Ours:
    the residuals and the lateral 1x1 convolutions).

    Args:
        features: Maps at 1/2, 1/4, 1/8, 1/16 and 1/32.
        filters: Channels of the stages; a multiple of `head_filters`.
        head_filters: Channels at 1/2.
        branches: K.
        attention: `"none"`, `"spatial"`, `"channel"` or `"both"`.
        upsampling: `"subpixel"` or `"nearest"`.
        precision: `"binary"`, `"activations"` or `"float"`.
        estimator: Larq quantizer of the binary convolutions.

    Returns:
        Features `[batch, height / 2, width / 2, head_filters]`.
    """
    common: dict[str, Any] = {"branches": branches, "precision": precision, "estimator": estimator}
    *laterals, top = features
    x = conv_norm(top, filters, 1, "lateral4", relu=False)
    for stage in reversed(range(4)):
        width = head_filters if stage == 0 else filters
        maps = ParallelConv2D(filters, name=f"decoder{stage}_conv", **common)(x)
        merged = GatedMerge(name=f"decoder{stage}_merge")(maps)
        if attention != "none":
            merged = BinaryAttention(
                attention, precision, estimator, name=f"decoder{stage}_attention"
            )(maps, targets=merged)
        x = tf.keras.layers.Add(name=f"decoder{stage}_add")([x, merged])
        up = ParallelUpsampling2D(width, method=upsampling, name=f"decoder{stage}_up", **common)(x)
        lateral = conv_norm(laterals[stage], width, 1, f"lateral{stage}", relu=False)
        terms = [up, lateral]
        if width == filters:
            terms.append(NearestUpsampling2D(name=f"decoder{stage}_shortcut")(x))
        x = tf.keras.layers.Add(name=f"decoder{stage}_join")(terms)
    return x

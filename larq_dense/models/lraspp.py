"""The Lite R-ASPP head of MobileNetV3, a full-precision reference decoder."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Precision
from larq_dense.models.blocks import check_levels, conv_norm, upsampled
from larq_dense.models.registry import register_decoder

Tensor = Any


@register_decoder("lraspp")
def lraspp(
    features: list[Tensor], *, outputs: int, precision: Precision = "float", filters: int = 128
) -> Tensor:
    """Predict from the features at 1/8 and the coarsest ones (arXiv 1905.02244, section 6.4).

    A 1x1 convolution of the coarsest features is gated, channel by channel, by a sigmoid of their
    mean, upsampled to 1/8 and classified; a 1x1 convolution of the features at 1/8 is added. As in
    torchvision, the mean is over the whole picture.

    Args:
        features: Maps at 1/2, 1/4, 1/8, 1/16 and maybe 1/32.
        outputs: Logits of a pixel.
        precision: `"float"`; it has no binary form.
        filters: Channels of the 1x1 convolution.

    Returns:
        Logits `[batch, height, width, outputs]`, upsampled bilinearly from 1/8.

    Raises:
        ValueError: Another precision, or features that end before 1/16.
    """
    if precision != "float":
        raise ValueError("the decoder lraspp has no binary form; choose precision: float.")
    check_levels("lraspp", features, 4)
    layers = tf.keras.layers
    fine, coarse = features[2], features[-1]
    x = conv_norm(coarse, filters, 1, "lraspp")
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="lraspp_mean")(coarse)
    gate = layers.Conv2D(filters, 1, use_bias=False, activation="sigmoid", name="lraspp_gate")(gate)
    x = layers.Multiply(name="lraspp_gated")([x, gate])
    factor = 2 ** (len(features) - 3)
    x = layers.UpSampling2D(factor, interpolation="bilinear", name="lraspp_up")(x)
    x = layers.Conv2D(outputs, 1, name="head")(x)
    fine = layers.Conv2D(outputs, 1, use_bias=False, name="head_fine")(fine)
    return upsampled(layers.Add(name="head_sum")([x, fine]), 8)

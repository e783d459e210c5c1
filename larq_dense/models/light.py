"""The light encoder, of our own: feature maps at 1/2 to 1/32 of the size of the picture."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from larq_dense.layers import FixedPoint
from larq_dense.layers._base import Activation, Precision
from larq_dense.models.blocks import conv_norm, residual
from larq_dense.models.registry import register_encoder

Tensor = Any
Features = list[Tensor]


@register_encoder("light")
def light(
    inputs: Tensor,
    *,
    stem: int = 32,
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: int | Sequence[int] = 4,
    precision: Precision = "binary",
    estimator: str = "approx_sign",
    thresholds: bool = False,
    residual_scale: float = 0.25,
    activation: Activation = "relu",
) -> Features:
    """Build this project's own small encoder.

    A real stem, then four stages of residual binary 3x3 convolutions with a full-precision
    max-pool and 1x1 convolution between them, after QuickNet (arXiv 2011.09398), whose filters and
    blocks are the defaults.
    In binary precision, what goes into an ordinary convolution is rounded to a grid
    (`layers.FixedPoint`), so that signs do not depend on the order of a machine's sums.

    Args:
        inputs: The picture, float `[batch, height, width, 3]`.
        stem: Channels of the stem.
        filters: Channels of the four stages.
        blocks: Residual convolutions in each stage, or in the four of them.
        precision: `"binary"`, `"activations"` or `"float"`; see `models.build`.
        estimator: Larq quantizer of the binary convolutions.
        thresholds: Whether their inputs are binarized at learned thresholds (RSign of ReActNet,
            arXiv 2003.03488), not at 0.
        residual_scale: What the scales of the binary convolutions' normalizations start at. A
            network of many residual branches learns better from close to the identity (arXiv
            2002.10444; docs/ablation.md holds what that is worth here).
        activation: `"relu"` or `"prelu"`.

    Returns:
        Features at 1/2 (`stem` channels), and at 1/4, 1/8, 1/16 and 1/32.

    Raises:
        ValueError: `filters` or a list of `blocks` are not four.
    """
    depths = [blocks] * 4 if isinstance(blocks, int) else list(blocks)
    for name, given in (("filters", filters), ("blocks", depths)):
        if len(given) != 4:
            raise ValueError(f"the light encoder has four stages; give four {name}, not {given}.")
    exact = precision == "binary"
    settings: dict[str, Any] = {
        "precision": precision,
        "estimator": estimator,
        "single_threshold": thresholds,
        "initial_scale": residual_scale,
        "activation": activation,
    }

    def on_grid(x: Tensor, name: str, fraction_bits: int = 6) -> Tensor:
        return FixedPoint(fraction_bits, name=f"{name}_grid")(x) if exact else x

    x = conv_norm(on_grid(inputs, "image", 8), stem, 3, "stem", strides=2)
    x = on_grid(x, "stem")
    features = [x]
    x = tf.keras.layers.DepthwiseConv2D(
        3, 2, padding="same", use_bias=False, name="stem_depthwise"
    )(x)
    x = on_grid(x, "stem_depthwise")
    for stage, width in enumerate(filters):
        if stage:
            x = tf.keras.layers.MaxPool2D(3, 2, padding="same", name=f"stage{stage}_pool")(x)
        x = conv_norm(x, width, 1, f"stage{stage}_transition", relu=False)
        for block in range(depths[stage]):
            x = residual(x, f"stage{stage}_block{block}", **settings)
        x = on_grid(x, f"stage{stage}")
        features.append(x)
    return features

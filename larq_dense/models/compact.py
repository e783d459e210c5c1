"""The compact family: binary networks designed for measured time, in three sizes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from larq_dense.layers import DepthToSpace, NearestUpsampling2D, ParallelUpsampling2D
from larq_dense.layers._base import Activation, Precision, check_choice
from larq_dense.layers.attention import PARTS
from larq_dense.models.blocks import check_levels, conv_norm, residual, upsampled
from larq_dense.models.decoder import attended_branches
from larq_dense.models.light import light
from larq_dense.models.registry import register_decoder, register_encoder

Tensor = Any


@register_decoder("compact")
def compact(
    features: list[Tensor],
    *,
    outputs: int,
    precision: Precision = "binary",
    filters: Sequence[int] = (64, 64, 64, 64),
    attention: str = "both",
    head_factor: int | None = None,
    estimator: str = "approx_sign",
    activation: Activation = "relu",
) -> Tensor:
    """Join an encoder's features from 1/32 to 1/4 and predict there (not from the paper).

    What of arXiv 2405.17776 costs time and gave little here is left out: there is one branch in
    each layer (K = 1, so neither gate nor merge), attention at the coarsest stage alone, and no
    stage at 1/2. Instead the head predicts the logits of `head_factor` by `head_factor` pixels at
    each position of 1/4 (sub-pixel convolution, arXiv 1609.05158), and bilinear upsampling does
    the rest. Features whose width is the stage's are added as they are, without a convolution.

    Args:
        features: Maps at 1/2 (not used), 1/4, 1/8, 1/16 and 1/32.
        outputs: Logits of a pixel.
        precision: `"binary"`, `"activations"` or `"float"`.
        filters: Channels at 1/32, 1/16, 1/8 and 1/4.
        attention: At 1/32: `"none"`, `"spatial"`, `"channel"` or `"both"`.
        head_factor: 2, or 4, which leaves nothing to upsample; 4 for one output and else 2 if not
            given.
        estimator: Larq quantizer of the binary convolutions.
        activation: `"relu"` or `"prelu"`.

    Returns:
        Logits `[batch, height, width, outputs]`.

    Raises:
        ValueError: A choice is unknown, `filters` are not four, or there are not five maps.
    """
    check_choice("attention", attention, ("none", *PARTS))
    check_levels("compact", features, 5)
    factor = head_factor or (4 if outputs == 1 else 2)
    check_choice("head_factor", factor, (2, 4))
    if len(filters) != 4:
        raise ValueError(f"the compact decoder has four stages; give four filters, not {filters}.")
    binary: dict[str, Any] = {
        "precision": precision,
        "estimator": estimator,
        "activation": activation,
    }
    _, *laterals, x = features
    x = _lateral(x, filters[0], "lateral3")
    for stage, width, after in zip((3, 2, 1), filters, filters[1:], strict=False):
        name = f"decoder{stage}"
        if stage == 3:
            x = _attended(x, name, attention, **binary)
        else:
            x = residual(x, f"{name}_conv", single_threshold=True, **binary)
        up = ParallelUpsampling2D(
            after, branches=1, single_threshold=True, name=f"{name}_up", **binary
        )(x)
        terms = [up, _lateral(laterals.pop(), after, f"lateral{stage - 1}")]
        if width == after:
            terms.append(NearestUpsampling2D(name=f"{name}_shortcut")(x))
        x = tf.keras.layers.Add(name=f"{name}_join")(terms)
    x = residual(x, "decoder0_conv", single_threshold=True, **binary)
    x = tf.keras.layers.Conv2D(factor**2 * outputs, 1, name="head")(x)
    x = DepthToSpace(factor, name="head_pixels")(x)
    if factor < 4:
        return upsampled(x, 4 // factor)
    return tf.keras.layers.Activation("linear", name="logits", dtype="float32")(x)


def _lateral(x: Tensor, filters: int, name: str) -> Tensor:
    return x if x.shape[-1] == filters else conv_norm(x, filters, 1, name, relu=False)


def _attended(x: Tensor, name: str, attention: str, **binary: Any) -> Tensor:
    maps = attended_branches(x, x.shape[-1], name, branches=1, attention=attention, **binary)
    return tf.keras.layers.Add(name=f"{name}_add")([x, maps])


_ENCODERS: dict[str, dict[str, Any]] = {
    "s": {"stem": 8, "filters": (32, 64, 128, 256), "blocks": (2, 3, 5, 2)},
    "m": {"stem": 16, "filters": (32, 96, 192, 384), "blocks": (2, 4, 5, 2)},
    "l": {"stem": 16, "filters": (64, 128, 256, 512), "blocks": (2, 3, 5, 2)},
}
_DECODERS: dict[str, tuple[int, ...]] = {
    "s": (32, 32, 32, 32),
    "m": (64, 64, 64, 32),
    "l": (64, 64, 64, 64),
}
for _size in _ENCODERS:
    register_encoder(f"compact_{_size}")(partial(light, thresholds=True, **_ENCODERS[_size]))
    register_decoder(f"compact_{_size}")(partial(compact, filters=_DECODERS[_size]))

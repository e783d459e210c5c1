"""Encoders: feature maps at a half to a thirty-second of the picture's size."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from larq_dense.common.errors import UnknownNameError, WeightsError
from larq_dense.layers import FixedPoint
from larq_dense.layers._base import Activation, Precision
from larq_dense.models.blocks import conv_norm, residual
from larq_dense.models.efficientnet import efficientnet_lite0

Tensor = Any
Features = list[Tensor]


def light(
    inputs: Tensor,
    *,
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
        Features at 1/2 (32 channels), and at 1/4, 1/8, 1/16 and 1/32.

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

    x = conv_norm(on_grid(inputs, "image", 8), 32, 3, "stem", strides=2)
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


def _quicknet(class_name: str) -> Callable[..., Features]:
    def encode(
        inputs: Tensor,
        *,
        imagenet: bool = False,
        precision: Precision = "binary",
    ) -> Features:
        network = _larq_zoo_network(class_name, tuple(inputs.shape[1:]), imagenet)
        renamed = _rename(network, precision)
        taps = [renamed.layers[k].output for k in _tap_indices(class_name)]
        features: Features = tf.keras.Model(renamed.inputs, taps, name="encoder")(inputs)
        return features

    encode.__doc__ = f"""Build larq-zoo's {class_name} without its classifier.

    Args:
        inputs: The picture, float `[batch, height, width, 3]`.
        imagenet: Start from larq-zoo's ImageNet weights, downloaded on first use.
        precision: `"binary"`, `"activations"` or `"float"`; see `models.build`.

    Returns:
        Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size.

    Raises:
        WeightsError: The ImageNet weights cannot be downloaded.
    """
    return encode


def _larq_zoo_network(
    class_name: str, input_shape: tuple[int | None, ...], imagenet: bool
) -> tf.keras.Model:
    import larq_zoo

    try:
        return getattr(larq_zoo.sota, class_name)(
            input_shape=input_shape, weights="imagenet" if imagenet else None, include_top=False
        )
    except Exception as error:
        # Keras' download helper raises a bare Exception for an unreachable address.
        if not imagenet:
            raise
        raise WeightsError(
            f"cannot download {class_name}'s ImageNet weights ({error}); check the network, or "
            "train from scratch with imagenet: false."
        ) from error


def _rename(network: tf.keras.Model, precision: Precision) -> tf.keras.Model:
    """Copy a network with names that do not depend on what was built before it.

    Keras numbers unnamed layers through the whole process, so larq-zoo's names differ from one
    build to the next, and weight files match by name.
    """
    position = {layer.name: k for k, layer in enumerate(network.layers)}

    def copy(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
        config = layer.get_config()
        config["name"] = f"encoder_{position[layer.name]}"
        if precision == "float" and config.get("kernel_quantizer"):
            kept = ("name", "filters", "kernel_size", "strides", "use_bias", "activation")
            return tf.keras.layers.Conv2D(padding="same", **{k: config[k] for k in kept})
        if precision == "activations" and config.get("kernel_quantizer"):
            config |= {"kernel_quantizer": None, "kernel_constraint": None}
        return layer.__class__.from_config(config)

    copied = tf.keras.models.clone_model(network, clone_function=copy)
    copied.set_weights(network.get_weights())
    return copied


@functools.cache
def _tap_indices(class_name: str) -> tuple[int, ...]:
    """Return the positions of the last layers at 1/2, 1/4, … 1/32 of the picture's size."""
    side = 128
    network = _larq_zoo_network(class_name, (side, side, 3), imagenet=False)
    last = {layer.output_shape[1]: k for k, layer in enumerate(network.layers) if k}
    return tuple(last[side >> level] for level in range(1, 6))


ENCODERS: dict[str, Callable[..., Features]] = {
    "efficientnet_lite0": efficientnet_lite0,
    "light": light,
    "quicknet_small": _quicknet("QuickNetSmall"),
    "quicknet": _quicknet("QuickNet"),
    "quicknet_large": _quicknet("QuickNetLarge"),
}


def get(name: str) -> Callable[..., Features]:
    """Return the encoder of that name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in ENCODERS:
        raise UnknownNameError("encoder", name, ENCODERS)
    return ENCODERS[name]

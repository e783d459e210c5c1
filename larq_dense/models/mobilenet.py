"""MobileNetV2 and V3 of tf.keras.applications as full-precision encoders."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from larq_dense.common.errors import WeightsError
from larq_dense.layers._base import Precision, check_choice
from larq_dense.models.registry import register_encoder

Tensor = Any
Features = list[Tensor]

STRIDES = (16, 32)

# Keras' 0.999 is for ImageNet's long runs: after a few thousand steps here the statistics would
# still be those of the first ones.
_MOMENTUM = 0.99


@register_encoder("mobilenet_v2")
def mobilenet_v2(
    inputs: Tensor,
    *,
    precision: Precision = "float",
    alpha: float = 1.0,
    output_stride: int = 16,
    imagenet: bool = False,
) -> Features:
    """Build MobileNetV2 (arXiv 1801.04381) of tf.keras.applications without its classifier.

    It expects pictures from -1 to 1: mean and standard deviation 127.5, a recipe's defaults.

    Args:
        inputs: The picture, float `[batch, height, width, 3]`.
        precision: `"float"`; it has no binary form.
        alpha: Multiplies the channels of all layers, such as 0.35, 0.5 or 1.
        output_stride: 32, or 16 to end with the last layer at 1/16 (the 13th block's expansion,
            576 channels at `alpha` 1). The usual form for segmentation keeps the blocks after it
            instead, dilated, and costs more.
        imagenet: Begin with Keras' ImageNet weights, downloaded on first use.

    Returns:
        The last features at each size from 1/2 to 1/16 or 1/32.

    Raises:
        ValueError: Another precision or stride.
        WeightsError: The ImageNet weights cannot be downloaded.
    """
    return _features("MobileNetV2", inputs, precision, output_stride, imagenet, alpha=alpha)


@register_encoder("mobilenet_v3_small")
def mobilenet_v3_small(
    inputs: Tensor,
    *,
    precision: Precision = "float",
    output_stride: int = 16,
    imagenet: bool = False,
) -> Features:
    """Build MobileNetV3-Small (arXiv 1905.02244); as `mobilenet_v2`, 288 channels at 1/16."""
    return _features("MobileNetV3Small", inputs, precision, output_stride, imagenet)


@register_encoder("mobilenet_v3_large")
def mobilenet_v3_large(
    inputs: Tensor,
    *,
    precision: Precision = "float",
    output_stride: int = 16,
    imagenet: bool = False,
) -> Features:
    """Build MobileNetV3-Large (arXiv 1905.02244); as `mobilenet_v2`, 672 channels at 1/16."""
    return _features("MobileNetV3Large", inputs, precision, output_stride, imagenet)


def _features(
    class_name: str,
    inputs: Tensor,
    precision: Precision,
    output_stride: int,
    imagenet: bool,
    **options: Any,
) -> Features:
    if precision != "float":
        raise ValueError(f"{class_name} has no binary form; choose precision: float.")
    check_choice("output_stride", output_stride, STRIDES)
    network = _network(class_name, imagenet, input_tensor=inputs, **options)
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = _MOMENTUM
    taps = _tap_indices(class_name)[: STRIDES.index(output_stride) + 4]
    return [network.layers[k].output for k in taps]


def _network(class_name: str, imagenet: bool, **options: Any) -> tf.keras.Model:
    make: Callable[..., tf.keras.Model] = getattr(tf.keras.applications, class_name)
    if "V3" in class_name:
        options["include_preprocessing"] = False
    try:
        return make(include_top=False, weights="imagenet" if imagenet else None, **options)
    except Exception as error:
        # Keras' download helper raises a bare Exception for an unreachable address.
        if not imagenet:
            raise
        raise WeightsError(
            f"cannot get {class_name}'s ImageNet weights ({error}); check the network, or train "
            "from scratch with imagenet: false."
        ) from error


@functools.cache
def _tap_indices(class_name: str) -> tuple[int, ...]:
    """Return the positions of the last layers at 1/2, 1/4, … 1/32 of the picture's size."""
    side = 128
    network = _network(class_name, imagenet=False, input_shape=(side, side, 3))
    shapes = {k: layer.output_shape for k, layer in enumerate(network.layers) if k}
    last = {shape[1]: k for k, shape in shapes.items()}
    return tuple(last[side >> level] for level in range(1, 6))

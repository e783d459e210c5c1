"""larq-zoo's QuickNets as binary encoders."""

import functools
from typing import Any

import tensorflow as tf

from larq_dense.common.errors import WeightsError
from larq_dense.layers._base import Precision
from larq_dense.models.registry import Encoder, register_encoder

Tensor = Any
Features = list[Tensor]


def _quicknet(class_name: str) -> Encoder:
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


register_encoder("quicknet_small")(_quicknet("QuickNetSmall"))
register_encoder("quicknet")(_quicknet("QuickNet"))
register_encoder("quicknet_large")(_quicknet("QuickNetLarge"))

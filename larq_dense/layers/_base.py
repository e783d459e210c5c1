"""What the layers share: registration, argument checks and the convolution in both precisions."""

from collections.abc import Sequence
from typing import Any, Literal

import larq as lq
import tensorflow as tf

from larq_dense.layers.estimator import quantizer

Precision = Literal["binary", "activations", "float"]
Activation = Literal["relu", "prelu"]
Tensor = Any

PRECISIONS = ("binary", "activations", "float")
ACTIVATIONS = ("relu", "prelu")
ESTIMATORS = ("approx_sign", "ste_sign", "swish_sign")


def register(cls: type) -> type:
    """Register a layer for Keras serialization as `larq_dense>Name`."""
    return tf.keras.utils.register_keras_serializable(package="larq_dense")(cls)


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}.")


def check_flag(name: str, value: object) -> None:
    """Raise a TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false, not {value!r}.")


def check_integer(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raise a TypeError or ValueError unless `value` is an integer within `low` and `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {value!r}.")
    if value < low:
        raise ValueError(f"{name} must be at least {low}, not {value}.")
    if high is not None and value > high:
        raise ValueError(f"{name} must be at most {high}, not {value}.")


def check_positive(name: str, value: object) -> None:
    """Raise a TypeError or ValueError unless `value` is an integer of at least 1."""
    check_integer(name, value, 1)


def check_estimator(estimator: str) -> None:
    """Raise a ValueError unless `estimator` names a sign function of Larq's.

    Others, such as `magnitude_aware_sign`, give values that no longer are one bit as an input.
    """
    check_choice("estimator", estimator, ESTIMATORS)


def as_branches(inputs: Tensor) -> list[Tensor]:
    """Return a tensor or a list of tensors as a list."""
    return list(inputs) if isinstance(inputs, list | tuple) else [inputs]


def activate(activation: Activation, name: str) -> tf.keras.layers.Layer:
    """Return what follows a convolution: ReLU, or PReLU with a slope for each channel."""
    if activation == "relu":
        return tf.keras.layers.ReLU(name=name)
    slope = tf.keras.initializers.Constant(0.25)
    return tf.keras.layers.PReLU(slope, shared_axes=[1, 2], name=name)


def convolution(
    filters: int,
    kernel_size: int,
    *,
    precision: Precision,
    estimator: str,
    strides: int = 1,
    name: str,
) -> tf.keras.layers.Layer:
    """Return a convolution without bias: binary in weights and input, in its input only, or not.

    The binary one pads with +1, since only then does Larq Compute Engine fuse what follows it and
    hand bits on to a next binary convolution.
    """
    if precision == "float":
        return tf.keras.layers.Conv2D(
            filters, kernel_size, strides, padding="same", use_bias=False, name=name
        )
    binary = precision == "binary"
    return lq.layers.QuantConv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        pad_values=1.0,
        use_bias=False,
        input_quantizer=quantizer(estimator),
        kernel_quantizer=quantizer(estimator) if binary else None,
        kernel_constraint="weight_clip" if binary else None,
        kernel_initializer="glorot_normal",
        name=name,
    )

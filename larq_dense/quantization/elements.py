"""Elementary layers that composite ones are taken apart into, besides Keras' and Larq's own."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, register
from larq_dense.layers.attention import open_below_zero
from larq_dense.layers.estimator import quantizer


@register
class Scale(tf.keras.layers.Layer):
    """`gain · scale · n + offset` by channel: normalization after a binary dot product.

    Sums of bits are large and scales small, of any size; training changes them by a factor, `gain`.

    Attributes:
        factor: What takes the place of `gain · scale`, if anything does.
    """

    factor: Tensor | None = None

    def build(self, input_shape: Any) -> None:
        """Make scale, gain and offset."""
        shape = (input_shape[-1],)
        self.scale = self.add_weight("scale", shape, initializer="ones", trainable=False)
        self.gain = self.add_weight("gain", shape, initializer="ones")
        self.offset = self.add_weight("offset", shape, initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the scaled tensor."""
        factor = self.gain * self.scale if self.factor is None else self.factor
        return factor * inputs + self.offset


@register
class Sign(tf.keras.layers.Layer):
    """A Larq quantizer as a layer: -1 below 0, else +1."""

    def __init__(self, estimator: str = "approx_sign", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.estimator = estimator

    def call(self, inputs: Tensor) -> Tensor:
        """Return the signs."""
        return quantizer(self.estimator)(inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "estimator": self.estimator}


@register
class BinaryMask(tf.keras.layers.Layer):
    """Signs to 0 and 1, with the gradient of `layers.BinaryAttention`."""

    def call(self, inputs: Tensor) -> Tensor:
        """Return 0 for -1 and 1 for +1."""
        return open_below_zero(inputs)

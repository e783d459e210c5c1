"""Values on a grid, so that the sums that follow are exact."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, check_integer, register


def to_grid(x: Tensor, fraction_bits: int) -> Tensor:
    """Round to the nearest multiple of `2**-fraction_bits`, ties to even; gradient 1."""

    @tf.custom_gradient
    def rounded(x: Tensor) -> tuple[Tensor, Any]:
        steps = 2.0**fraction_bits
        return tf.round(x * steps) * (1 / steps), lambda upstream: upstream

    return rounded(x)


@register
class FixedPoint(tf.keras.layers.Layer):
    """Rounds to multiples of `2**-fraction_bits`, `y = round(x · 2^f) / 2^f`, gradient 1.

    A float32 sum of products of short factors has no rounding error, whatever its order. In front
    of an ordinary convolution with a short kernel (`models.exact.inference_form`) this layer makes
    the convolution, and so the signs taken of it, equal on every machine (not from the paper).

    Args:
        fraction_bits: Binary places.
        **kwargs: Keras' own.

    Input and output: one float tensor of any shape.

    Raises:
        TypeError: `fraction_bits` is not an integer.
        ValueError: `fraction_bits` is not within 0…16.

    Examples:
        >>> FixedPoint(2)(tf.constant([0.3, 0.9])).numpy().tolist()
        [0.25, 1.0]
    """

    def __init__(self, fraction_bits: int = 6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_integer("fraction_bits", fraction_bits, 0, 16)
        self.fraction_bits = fraction_bits

    def call(self, inputs: Tensor) -> Tensor:
        """Return the rounded tensor."""
        return to_grid(inputs, self.fraction_bits)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "fraction_bits": self.fraction_bits}

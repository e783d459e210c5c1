"""Channels to positions."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, check_positive, register


@register
class DepthToSpace(tf.keras.layers.Layer):
    """Moves channels to positions: the second half of sub-pixel upsampling.

    Args:
        factor: How many times larger the output is.
        **kwargs: Keras' own.

    Input: `[batch, height, width, factor² · channels]`. Output:
    `[batch, factor · height, factor · width, channels]`.

    Raises:
        TypeError: `factor` is not an integer.
        ValueError: `factor` is below 1.

    Examples:
        >>> tuple(DepthToSpace(2)(tf.zeros((1, 8, 8, 64))).shape)
        (1, 16, 16, 16)
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive("factor", factor)
        self.factor = factor

    def call(self, inputs: Tensor) -> Tensor:
        """Return the upsampled map."""
        return tf.nn.depth_to_space(inputs, self.factor)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}

"""Nearest-neighbour upsampling whose gradient every compiler knows."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, check_positive, register


def upsample(x: Tensor, factor: int) -> Tensor:
    """Repeat every pixel of `[batch, height, width, channels]` `factor` times both ways."""

    # XLA has no kernel for the gradient of TensorFlow's own resize at every size.
    @tf.custom_gradient
    def resize(x: Tensor) -> tuple[Tensor, Any]:
        def gradient(upstream: Tensor) -> Tensor:
            return factor**2 * tf.nn.avg_pool2d(upstream, factor, factor, "VALID")

        return tf.keras.backend.resize_images(x, factor, factor, "channels_last"), gradient

    return resize(x)


@register
class NearestUpsampling2D(tf.keras.layers.Layer):
    """Repeats every pixel.

    Args:
        factor: How many times larger the output is.
        **kwargs: Keras' own.

    Input: `[batch, height, width, channels]`. Output:
    `[batch, factor · height, factor · width, channels]`.

    Raises:
        TypeError: `factor` is not an integer.
        ValueError: `factor` is below 1.

    Examples:
        >>> tuple(NearestUpsampling2D(2)(tf.zeros((1, 8, 8, 16))).shape)
        (1, 16, 16, 16)
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive("factor", factor)
        self.factor = factor

    def call(self, inputs: Tensor) -> Tensor:
        """Return the upsampled map."""
        return upsample(inputs, self.factor)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}

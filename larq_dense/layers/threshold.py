"""A learned per-channel threshold."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, register


@register
class Threshold(tf.keras.layers.Layer):
    """Shifts each channel by a learned amount: `y = x + tau`.

    In front of a sign function, `-tau` is where that channel flips. (Not from the paper:
    docs/method.md, part 2, after RSign of ReActNet, arXiv 2003.03488.)

    Args:
        initial_value: What every channel's `tau` starts at.
        **kwargs: Keras' own.

    Input and output shape: `[batch, height, width, channels]`, float.

    Examples:
        >>> float(Threshold(0.5)(tf.zeros((1, 1, 1, 1)))[0, 0, 0, 0])
        0.5
    """

    def __init__(self, initial_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_value = float(initial_value)

    def build(self, input_shape: Any) -> None:
        """Make `tau`, one value a channel."""
        self.tau = self.add_weight(
            "tau",
            shape=(input_shape[-1],),
            initializer=tf.keras.initializers.Constant(self.initial_value),
        )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs + tau`."""
        return inputs + self.tau

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "initial_value": self.initial_value}

"""A normalization's form for inference: one scale and one offset a channel."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, register


@register
class Affine(tf.keras.layers.Layer):
    """Scales and shifts each channel: `y = scale · x + offset`.

    It takes the place of a batch normalization whose statistics no longer change
    (`models.exact.inference_form`). A batch normalization computes its scale at run time by a
    reciprocal square root, which IEEE 754 does not fix to the last bit; this layer only multiplies
    and adds.

    Input and output: one float tensor `[..., channels]`.

    Examples:
        >>> tuple(Affine()(tf.ones((1, 8, 8, 16))).shape)
        (1, 8, 8, 16)
    """

    def build(self, input_shape: Any) -> None:
        """Make `scale` and `offset`, one value a channel."""
        shape = (input_shape[-1],)
        self.scale = self.add_weight("scale", shape, initializer="ones")
        self.offset = self.add_weight("offset", shape, initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return `scale · inputs + offset`, in training and out of it."""
        return self.scale * inputs + self.offset


def normalization(name: str, folded: bool, **options: Any) -> tf.keras.layers.Layer:
    """Return what normalizes the output of a convolution.

    Args:
        name: The layer's name.
        folded: Scale and offset (`Affine`), instead of a batch normalization.
        **options: Further arguments of the batch normalization.
    """
    if folded:
        return Affine(name=name)
    return tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name, **options)

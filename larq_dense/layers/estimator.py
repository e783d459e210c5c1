"""Binarization with Larq's quantizers, one of them with a cheaper gradient."""

from typing import Any

import larq as lq
import tensorflow as tf

Tensor = Any


@tf.custom_gradient
def _approx_sign(x: Tensor) -> tuple[Tensor, Any]:
    return lq.math.sign(x), lambda dy: tf.nn.relu(2 - 2 * tf.abs(x)) * dy


@tf.keras.utils.register_keras_serializable(package="larq_dense")
class ApproxSign(lq.quantizers.Quantizer):
    """Larq's `approx_sign` (Bi-Real Net, arXiv 1808.00278): the same values, the same gradient.

    `q(x) = -1` below 0, else 1; `dq/dx = max(0, 2 - 2 |x|)`. Larq's own compares and selects where
    this takes the maximum, and needs two passes more over every tensor, of which binary training
    mostly consists.

    Args:
        **kwargs: Keras' own.

    Input and output: a float tensor of any shape.
    """

    precision = 1

    def call(self, inputs: Tensor) -> Tensor:
        """Return -1 and 1."""
        return _approx_sign(inputs)


_LAYERS = {
    "approx_sign": ApproxSign,
    "ste_sign": lq.quantizers.SteSign,
    "swish_sign": lq.quantizers.SwishSign,
}


def quantizer(estimator: str) -> lq.quantizers.Quantizer:
    """Return the quantizer of that name of Larq's, as a layer.

    Its own name is the estimator's: Keras would number it through the whole process, and converted
    files, which contain names, would depend on what was built before.
    """
    return _LAYERS[estimator](name=estimator)

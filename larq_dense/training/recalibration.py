"""Statistics of the normalizations, measured again with the weights as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.keras2 import tf


class Recalibration:
    """Replaces the moving statistics of batch normalizations by those of a few batches.

    Moving statistics mix in those of weights from steps ago. A binary kernel's output jumps when
    its signs change, so theirs lag more than those of real kernels. And they are of crops, where a
    network that is used sees whole pictures.
    """

    def __init__(
        self, model: tf.keras.Model, batches: Callable[[], Iterable[NDArray[np.float32]]]
    ) -> None:
        """Prepare.

        Args:
            model: A network that is not trained itself: its normalizations keep the statistics of
                the last batch only from now on.
            batches: Gives batches `[batch, height, width, 3]`, normalized, which count alike.
        """
        norm = tf.keras.layers.BatchNormalization
        norms = [layer for layer in model.submodules if isinstance(layer, norm)]
        for layer in norms:
            layer.momentum = 0.0
        self._norms, self._batches = norms, batches

        # Without `self`: TensorFlow never lets go of a function, so neither of the pictures then.
        @tf.function(autograph=False)
        def measure(images: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
            model(images, training=True)
            return [
                (layer.moving_mean, layer.moving_variance + tf.square(layer.moving_mean))
                for layer in norms
            ]

        self._measure = measure

    def __call__(self) -> None:
        """Set the statistics: mean and variance over all batches together."""
        moments = [self._measure(tf.constant(images)) for images in self._batches()]
        means = tf.nest.map_structure(lambda *each: tf.reduce_mean(each, axis=0), *moments)
        for layer, (mean, square) in zip(self._norms, means, strict=True):
            layer.moving_mean.assign(mean)
            # Rounding may leave less than nothing of a channel that hardly varies.
            layer.moving_variance.assign(tf.maximum(square - tf.square(mean), 0.0))

"""Statistics of normalizations against NumPy."""

import numpy as np

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.training.recalibration import Recalibration

# isort: split
import tensorflow as tf


def test_statistics_are_those_of_all_batches_together() -> None:
    inputs = tf.keras.Input((None, None, 3))
    first = tf.keras.layers.BatchNormalization(name="first")
    second = tf.keras.layers.BatchNormalization(name="second")
    model = tf.keras.Model(inputs, second(tf.keras.layers.ReLU()(first(inputs))))
    first.gamma.assign([1.0, 2.0, -3.0])
    pictures = np.random.default_rng(0).normal(2, 3, (12, 40, 50, 3)).astype(np.float32)
    recalibration = Recalibration(model, lambda: np.split(pictures, 3))
    for _ in range(2):
        recalibration()
        mean, variance = pictures.mean((0, 1, 2)), pictures.var((0, 1, 2))
        np.testing.assert_allclose(first.moving_mean, mean, rtol=1e-5)
        np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-3)
        # The second one sees what the first gives in training: each batch normalized by itself.
        by_batch = pictures.reshape(3, -1, 3)
        normal = (by_batch - by_batch.mean(1, keepdims=True)) / np.sqrt(
            by_batch.var(1, keepdims=True) + first.epsilon
        )
        after = np.maximum(normal * np.array([1.0, 2.0, -3.0]), 0).reshape(-1, 3)
        np.testing.assert_allclose(second.moving_mean, after.mean(0), rtol=1e-3)
        np.testing.assert_allclose(second.moving_variance, after.var(0), rtol=1e-3)

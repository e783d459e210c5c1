"""Memory of a file's tensors, counted by hand."""

import pytest
import tensorflow as tf

from larq_dense.common.errors import DataError
from larq_dense.conversion.baseline import float_tflite
from larq_dense.evaluation.memory import peak_bytes


def network(residual: bool) -> bytes:
    """Convert 8 x 8 pixels in 3, 8, 16, 8 and 1 channels."""
    inputs = tf.keras.Input((8, 8, 3))
    first = tf.keras.layers.Conv2D(8, 3, padding="same")(inputs)
    x = tf.keras.layers.Conv2D(16, 3, padding="same")(first)
    x = tf.keras.layers.Conv2D(8, 3, padding="same")(x)
    x = tf.keras.layers.Add()([x, first]) if residual else x
    return float_tflite(tf.keras.Model(inputs, tf.keras.layers.Conv2D(1, 3)(x)))


@pytest.mark.parametrize(("residual", "channels"), [(False, 8 + 16), (True, 8 + 16 + 8)])
def test_tensors_count_from_writing_to_last_reading(residual: bool, channels: int) -> None:
    assert peak_bytes(network(residual)) == 8 * 8 * channels * 4


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(DataError, match="the file"):
        peak_bytes(network(False)[:200])

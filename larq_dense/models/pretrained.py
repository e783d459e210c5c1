"""ImageNet weights for full-precision encoders, by the kind of file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.models.efficientnet import load_imagenet
from larq_dense.models.mobilenet_weights import load_quantized


def load_pretrained(
    model: tf.keras.Model, path: str | Path, pictures: Iterable[NDArray[np.float32]] = ()
) -> int:
    """Load an encoder's ImageNet weights.

    Args:
        model: From `models.build`.
        path: A `.tflite` file for `mobilenet_v2` (see `mobilenet_weights.load_quantized`), or an
            `.npz` file for `efficientnet_lite0` (see `efficientnet.load_imagenet`).
        pictures: Normalized inputs, float32 `[batch, height, width, 3]`, for the statistics of the
            first.

    Returns:
        How many variables were loaded.

    Raises:
        WeightsError: The file is missing, damaged or for another encoder. The model is unchanged
            then.
    """
    if Path(path).suffix == ".tflite":
        return load_quantized(model, path, pictures)
    return load_imagenet(model, path)

"""The full-precision twin as stock TensorFlow Lite files: what a binary network has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tensorflow as tf


def float_tflite(model: tf.keras.Model) -> bytes:
    """Convert a model of fixed input shape to a float32 `.tflite`, which XNNPACK runs."""
    return _convert(_converter(model))


def int8_tflite(model: tf.keras.Model, pictures: Sequence[NDArray[np.float32]]) -> bytes:
    """Convert a model of fixed input shape to int8 by post-training quantization.

    Args:
        model: Without any binary layer.
        pictures: Normalized inputs, float32 `[1, height, width, 3]`, from which the ranges of the
            activations are taken.

    Returns:
        A `.tflite` whose inner tensors are int8; its input and output stay float32, so that it
        does the same work from picture to logits as the others.
    """
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture] for picture in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _convert(converter)


def _converter(model: tf.keras.Model) -> Any:
    import tensorflow as tf

    shape = (1, *model.input_shape[1:])
    serve = tf.function(lambda image: model(image, training=False), autograph=False)
    traced = serve.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    # Given the model as well, the converter goes by way of a SavedModel, which takes a minute
    # with the pure-Python protobuf that larq-zoo's requirements force on CPython 3.11.
    return tf.lite.TFLiteConverter.from_concrete_functions([traced], traced)


def _convert(converter: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flatbuffer: bytes = converter.convert()
    return flatbuffer

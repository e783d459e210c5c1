"""Full-precision networks as stock TensorFlow Lite files: what a binary network has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.images import ImageLike
from larq_dense.conversion.audit import audit
from larq_dense.conversion.convert import ConversionResult
from larq_dense.conversion.metadata import add_metadata
from larq_dense.conversion.parity import parity
from larq_dense.quantization.quantize import telling
from larq_dense.runtime.predictor import Predictor
from larq_dense.runtime.spec import ModelSpec

if TYPE_CHECKING:
    import tensorflow as tf


def float_tflite(model: tf.keras.Model) -> bytes:
    """Convert a model of fixed input shape to a float32 `.tflite`, which XNNPACK runs."""
    return _convert(_converter(model))


def int8_tflite(
    model: tf.keras.Model, pictures: Sequence[NDArray[np.float32]], whole: bool = False
) -> bytes:
    """Convert a model of fixed input shape to int8 by post-training quantization.

    Args:
        model: Without any binary layer.
        pictures: Normalized inputs, float32 `[1, height, width, 3]`, from which the ranges of the
            activations are taken.
        whole: Whether input and output are int8, too. Else they stay float32, so that the file does
            the same work from picture to logits as others.

    Returns:
        A `.tflite` whose inner tensors are int8.
    """
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture] for picture in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if whole:
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return _convert(converter)


def convert_baseline(
    model: tf.keras.Model,
    spec: ModelSpec | None = None,
    images: Iterable[ImageLike] = (),
    calibration: Iterable[ImageLike] | None = None,
) -> ConversionResult:
    """Convert a full-precision model with TensorFlow Lite's own converter and describe the file.

    Args:
        model: A model of pictures to logits without any binary layer.
        spec: What the model is for; left out, the model's own (`model.spec`).
        images: Pictures on which to compare the file with the model.
        calibration: Pictures that give the ranges of int8; left out, the file is float32.

    Returns:
        The file and what is known of it; nothing is written. Post-training quantization does not
        keep every label: `parity` says how many it keeps.

    Raises:
        DataError: The description is missing or does not fit the model, or there is no picture to
            take ranges from, or none that shows anything.
    """
    reference = Predictor.from_keras(model, spec)
    spec = reference.spec
    if calibration is None:
        flatbuffer = float_tflite(model)
    else:
        pictures = list(telling(spec.preprocessing(image) for image in calibration))
        flatbuffer = int8_tflite(model, pictures, whole=True)
    content = add_metadata(flatbuffer, spec)
    compared = list(images)
    agreement = parity(model, content, compared, spec) if compared else None
    return ConversionResult(content, spec, audit(content, model), agreement)


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

"""From a trained float network to an int8 one, and its ranges."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_model_optimization.quantization import keras as tfmot

from larq_dense.common.errors import DataError
from larq_dense.common.files import sha256
from larq_dense.common.sampling import evenly_spaced
from larq_dense.layers._base import register
from larq_dense.models.dense import DenseModel, forget_builds
from larq_dense.quantization.expand import expand
from larq_dense.quantization.quantizers import OUTLIERS, Quantizer, Range
from larq_dense.quantization.scheme import LayerConfig, layer_configs
from larq_dense.runtime import ModelSpec

logger = logging.getLogger(__name__)

Pictures = Iterable[NDArray[np.float32]]

FEW_PICTURES = 8
"""From fewer pictures, ranges are taken with a warning."""

MOST_JUDGES = 16
"""On at most so many of them ranges are held against each other."""


@register
class QuantizedModel(DenseModel):
    """A network that computes in int8; made by `quantize`, or loaded from a saved one.

    It is saved as the network of elementary layers that it rounds, for its layers share ranges,
    which none of them could be saved with.

    Examples:
        >>> inputs = tf.keras.Input((8, 8, 3))
        >>> model = tf.keras.Model(inputs, tf.keras.layers.Conv2D(2, 1)(inputs))
        >>> isinstance(quantize(model), QuantizedModel)
        True
    """

    @classmethod
    # Autograph would rewrite every layer that is copied, to no effect, for most of the time.
    @tf.autograph.experimental.do_not_convert
    def of(cls, flat: tf.keras.Model) -> QuantizedModel:
        """Round a network of elementary layers, from `expand`; ranges are empty."""
        configs = layer_configs(flat)

        # `quantize_apply` would come to the same network by way of five more copies.
        def wrap(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
            return tfmot.QuantizeWrapperV2(layer, configs[layer.name], name_prefix="")

        wrapped = tf.keras.models.clone_model(flat, clone_function=wrap)
        model = cls(wrapped.inputs, wrapped.outputs, name=wrapped.name)
        # As text, so that Keras does not count its parts among the model's.
        model.flat = json.dumps(tf.keras.utils.serialize_keras_object(flat))
        return model

    def get_config(self) -> dict[str, Any]:
        """Return the network that is rounded and the description, JSON-ready."""
        return {"flat": json.loads(self.flat), "spec": self.spec and self.spec.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> QuantizedModel:
        """Rebuild from `get_config`."""
        forget_builds(config["flat"]["config"])
        flat = tf.keras.utils.deserialize_keras_object(config["flat"], custom_objects)
        model = cls.of(flat)
        model.spec = ModelSpec.from_dict(config["spec"]) if config["spec"] else None
        return model


def quantize(model: tf.keras.Model, pictures: Pictures | None = None) -> QuantizedModel:
    """Return the int8 form of a network, to fine-tune and to convert.

    Args:
        model: A trained functional model; it is left as it is.
        pictures: What the ranges are taken from (`calibrate`). Without them ranges are empty,
            and weights of the int8 form, which hold the ranges, are to be loaded next.

    Returns:
        A model of the same input and output, with the variables' own names where they remain.

    Raises:
        ConversionError: A layer has no int8 form; the sentence names it.
        DataError: There is no picture.

    Examples:
        >>> inputs = tf.keras.Input((8, 8, 3))
        >>> model = tf.keras.Model(inputs, tf.keras.layers.Conv2D(2, 1)(inputs))
        >>> pictures = np.random.uniform(-1, 1, (8, 1, 8, 8, 3)).astype(np.float32)
        >>> quantize(model, pictures).output_shape
        (None, 8, 8, 2)
    """
    quantized = QuantizedModel.of(expand(model))
    if pictures is None:
        _settle(_quantizers(quantized))
    else:
        calibrate(quantized, pictures)
    quantized.spec = getattr(model, "spec", None)
    return quantized


def calibrate(model: tf.keras.Model, pictures: Pictures) -> None:
    """Set the ranges of a network's tensors by what they hold on real pictures.

    Of the `OUTLIERS` that ranges may leave out, those count that change the network's answers
    least. The ranges stay as they are in fine-tuning, which learns to live in them.

    Args:
        model: From `quantize`.
        pictures: Normalized inputs, float32 `[batch, height, width, 3]`.

    Raises:
        DataError: There is no picture, or none that shows anything.

    Examples:
        >>> inputs = tf.keras.Input((8, 8, 3))
        >>> model = quantize(tf.keras.Model(inputs, tf.keras.layers.Conv2D(2, 1)(inputs)))
        >>> calibrate(model, [np.random.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)])
    """
    quantizers = _quantizers(model)
    judges = _observe(model, quantizers, pictures)
    observed = model.get_weights()

    def settle(outliers: float) -> None:
        model.set_weights(observed)
        _settle(quantizers, outliers)

    def change(outliers: float) -> float:
        settle(outliers)
        errors = (model(picture, training=False) - answer for picture, answer in judges)
        return float(np.mean([tf.reduce_mean(tf.square(each)) for each in errors]))

    settle(min(OUTLIERS, key=change))


def _observe(
    model: tf.keras.Model, quantizers: list[Quantizer], pictures: Pictures
) -> list[tuple[NDArray[np.float32], tf.Tensor]]:
    """Let quantizers see pictures, and leave them to be settled.

    Returns:
        Some of the pictures, evenly spaced, with the exact answers.
    """
    for each in quantizers:
        each.observe()
    judges = []
    try:
        pictures = list(telling(pictures))
        judging = evenly_spaced(range(len(pictures)), MOST_JUDGES)
        for number, picture in enumerate(pictures):
            answer = model(picture, training=False)
            if number in judging:
                judges.append((picture, answer))
    except BaseException:
        _settle(quantizers)  # the network rounds again, with empty ranges
        raise
    return judges


def telling(pictures: Pictures) -> Iterator[NDArray[np.float32]]:
    """Yield pictures that ranges are taken from, and judge them after the last.

    A picture that comes twice counts once. Few of them are logged as a warning.

    Args:
        pictures: Normalized inputs, float32 `[batch, height, width, 3]`.

    Raises:
        DataError: There is no picture, or none that shows anything.

    Examples:
        >>> noise = np.random.uniform(-1, 1, (8, 1, 8, 8, 3)).astype(np.float32)
        >>> len(list(telling(noise)))
        8
    """
    count, varied = 0, set()
    for picture in pictures:
        yield picture
        count += 1
        if np.ptp(picture, axis=(0, 1, 2)).any():
            varied.add(sha256(picture.tobytes()))
    if not count:
        raise DataError("ranges are taken from pictures; give at least one.")
    if not varied:
        raise DataError(
            "every picture that the int8 ranges are taken from is of one colour; give real "
            "pictures of the kind that the network is for."
        )
    if len(varied) < FEW_PICTURES:
        logger.warning(
            "the int8 ranges are taken from %d different picture%s; some twenty of the kind that "
            "the network is for make them safe.",
            len(varied),
            "s" * (len(varied) != 1),
        )


def is_quantized(model: tf.keras.Model) -> bool:
    """Whether a model is one from `quantize`.

    Args:
        model: Any Keras model.

    Examples:
        >>> is_quantized(tf.keras.Sequential([tf.keras.layers.Dense(2)]))
        False
    """
    return bool(_configs(model))


def _configs(model: tf.keras.Model) -> list[LayerConfig]:
    found = (getattr(layer, "quantize_config", None) for layer in model.layers)
    return [each for each in found if isinstance(each, LayerConfig)]


def _quantizers(model: tf.keras.Model) -> list[Quantizer]:
    """Return all that observe, each once, in the network's order."""
    return list(dict.fromkeys(each for config in _configs(model) for each in config.quantizers()))


def _settle(quantizers: list[Quantizer], outliers: float | None = None) -> None:
    # Others ask the ranges for their steps.
    for each in sorted(quantizers, key=lambda each: not isinstance(each, Range)):
        each.settle(outliers)

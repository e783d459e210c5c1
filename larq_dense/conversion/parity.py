"""Compares a converted file with its Keras model on pictures."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from larq_dense.common.errors import DataError
from larq_dense.common.images import ImageLike
from larq_dense.runtime.interpreter import Runtime
from larq_dense.runtime.metadata import parse
from larq_dense.runtime.predictor import Predictor
from larq_dense.runtime.spec import ModelSpec


@dataclass(frozen=True)
class Parity:
    """How far a converted file agrees with its Keras model.

    Attributes:
        same_labels: Share of pixels, at the pictures' own sizes, with the same label.
        max_logit_difference: Largest absolute difference of the logits.
        max_logit: Largest absolute logit of the Keras model, for scale.
        images: Number of pictures.
        max_steps: Largest difference in steps of an int8 file's output; None for a float file.

    Examples:
        >>> Parity(1.0, 2e-6, 12.7, images=10).to_dict()["same_labels"]
        1.0
    """

    same_labels: float
    max_logit_difference: float
    max_logit: float
    images: int
    max_steps: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def parity(
    model: tf.keras.Model,
    content: bytes,
    images: Iterable[ImageLike],
    spec: ModelSpec | None = None,
    runtime: Runtime = "auto",
) -> Parity:
    """Run a model and its converted file on the same pictures and compare.

    Args:
        model: The Keras model.
        content: The file.
        images: Paths, bytes, Pillow images or uint8 `[height, width, channels]`; see
            `common.images.read_image`.
        spec: What the model is for; left out, the model's own.
        runtime: What runs the file.

    Returns:
        Shares and differences over all pictures.

    Raises:
        DataError: There is no picture, or one cannot be read.

    Examples:
        >>> from pathlib import Path
        >>> from larq_dense import conversion, zoo
        >>> content = Path("run.tflite").read_bytes()
        >>> conversion.parity(zoo.load("run"), content, ["photo.jpg"]).images
        1
    """
    reference = Predictor.from_keras(model, spec)
    converted = Predictor.from_tflite(content, runtime=runtime, spec=reference.spec)
    same = pixels = count = 0
    difference = largest = 0.0
    for image in images:
        picture = reference.spec.preprocessing.read(image)
        size = picture.shape[:2]
        expected, actual = reference.logits(picture), converted.logits(picture)
        difference = max(difference, float(np.abs(expected - actual).max()))
        largest = max(largest, float(np.abs(expected).max()))
        agree = reference.labels_from_logits(expected, *size) == converted.labels_from_logits(
            actual, *size
        )
        same += int(agree.sum())
        pixels += agree.size
        count += 1
    if not count:
        raise DataError("parity needs at least one picture.")
    step = parse(content).outputs[0].scale
    steps = round(difference / step) if step else None
    return Parity(same / pixels, difference, largest, count, steps)

"""Keras model → LCE's TFLite file: converted, audited, compared, described."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from larq_dense.common.files import write_bytes
from larq_dense.common.images import ImageLike
from larq_dense.conversion.audit import AuditReport, audit
from larq_dense.conversion.difference import refuse_disagreement
from larq_dense.conversion.exactness import refuse_inexact_file
from larq_dense.conversion.flatbuffer import to_flatbuffer
from larq_dense.conversion.metadata import add_metadata
from larq_dense.conversion.parity import Parity, parity
from larq_dense.models.exact import inference_form, is_exact
from larq_dense.quantization import is_quantized
from larq_dense.runtime.metadata import parse
from larq_dense.runtime.predictor import Predictor
from larq_dense.runtime.spec import ModelSpec


@dataclass(frozen=True)
class ConversionResult:
    """A converted file that passed its audit.

    Attributes:
        content: The `.tflite` file.
        spec: The description it carries.
        audit: Where each binary layer went.
        parity: Agreement with the Keras model, if pictures were given.

    Examples:
        >>> from larq_dense import conversion, zoo
        >>> converted = conversion.convert(zoo.load("runs/mine"))  # doctest: +SKIP
        >>> converted.save("mine.tflite")                          # doctest: +SKIP
    """

    content: bytes
    spec: ModelSpec
    audit: AuditReport
    parity: Parity | None

    def save(self, path: str | Path) -> None:
        """Write the file atomically."""
        write_bytes(path, self.content)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "name": self.spec.name,
            "task": self.spec.task,
            "bytes": len(self.content),
            "audit": self.audit.to_dict(),
            "parity": self.parity.to_dict() if self.parity else None,
        }


def convert(
    model: tf.keras.Model,
    spec: ModelSpec | None = None,
    images: Iterable[ImageLike] = (),
) -> ConversionResult:
    """Convert a model with Larq Compute Engine, audit the file and describe it.

    A model with `layers.FixedPoint` is brought to its inference form first. If it promises
    exactness (`models.exact.is_exact`), operations that differ from processor to processor are
    refused, and so is a file that labels the pictures otherwise than Keras does. One from
    `larq_dense.quantization` gives a file of int8 input and output, and the audit refuses any
    float tensor between them.

    Args:
        model: A model of pictures to logits. It is converted at the input size that its
            description names, whether it takes that size only or any.
        spec: What the model is for; left out, the model's own (`model.spec`).
        images: Pictures on which to compare the file with the model; see `parity`.

    Returns:
        The file and what is known of it; nothing is written.

    Raises:
        ConversionError: LCE cannot convert the model; the file fails its audit; or it does not
            agree with the model as promised, and the sentence names the first layer that differs.
        DataError: The description is missing or does not fit the model.

    Examples:
        >>> from larq_dense import conversion, zoo
        >>> converted = conversion.convert(zoo.load("run"), images=["photo.jpg"])
        >>> converted.content[4:8], len(converted.audit.layers) > 0
        (b'TFL3', True)
        >>> converted.parity.same_labels
        1.0
    """
    model = inference_form(model)
    int8 = is_quantized(model)
    reference = Predictor.from_keras(model, spec)
    exact = is_exact(model)
    flatbuffer = to_flatbuffer(model, reference.input_shape, int8, exact=exact)
    content = add_metadata(flatbuffer, reference.spec)
    report = audit(content, model, int8)
    if exact or int8:
        refuse_inexact_file(parse(content))
    pictures = list(images)
    agreement = parity(model, content, pictures, reference.spec) if pictures else None
    if agreement and (exact or int8):
        inputs = map(reference.spec.preprocessing, pictures)
        refuse_disagreement(agreement, model, inputs)
    return ConversionResult(content, reference.spec, report, agreement)

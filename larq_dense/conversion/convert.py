"""Keras model → LCE's TFLite file: converted, audited, compared, described."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from larq_dense.common.files import write_bytes
from larq_dense.common.images import ImageLike
from larq_dense.conversion.audit import AuditReport, audit
from larq_dense.conversion.flatbuffer import to_flatbuffer
from larq_dense.conversion.metadata import add_metadata
from larq_dense.conversion.parity import Parity, parity
from larq_dense.quantization import is_quantized
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
    """

    content: bytes
    spec: ModelSpec
    audit: AuditReport
    parity: Parity | None

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
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

    One from `larq_dense.quantization` gives a file of int8 input and output, and the audit refuses
    any float tensor between them.

    Args:
        model: A model of pictures to logits. It is converted at the input size that its
            description names, whether it takes that size only or any.
        spec: What the model is for; left out, the model's own (`model.spec`).
        images: Pictures on which to compare the file with the model.

    Returns:
        The file and what is known of it; nothing is written.

    Raises:
        ConversionError: LCE cannot convert the model, or the file fails its audit.
        DataError: The description is missing or does not fit the model.
    """
    int8 = is_quantized(model)
    reference = Predictor.from_keras(model, spec)
    flatbuffer = to_flatbuffer(model, reference.input_shape, int8)
    content = add_metadata(flatbuffer, reference.spec)
    report = audit(content, model, int8)
    pictures = list(images)
    agreement = parity(model, content, pictures, reference.spec) if pictures else None
    return ConversionResult(content, reference.spec, report, agreement)

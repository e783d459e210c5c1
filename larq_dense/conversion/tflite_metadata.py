"""Builds TensorFlow Lite's own metadata: what stock tools know about inputs and outputs.

The tables and their field numbers are those of metadata_schema.fbs 1.0
(github.com/tensorflow/tflite-support).
"""

from typing import Any

import flatbuffers
import numpy as np

from larq_dense.runtime.metadata import LABELS_FILE
from larq_dense.runtime.spec import ModelSpec

_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.0.0"

# Numbers of the schema's enumerations and unions.
_TENSOR_AXIS_LABELS, _TENSOR_VALUE_LABELS = 2, 3
_IMAGE_PROPERTIES = 2
_NORMALIZATION_OPTIONS = 1
# By the number of channels; for four of them there is no name.
_COLOR_SPACES = {1: 2, 3: 1, 4: 0}
_COLORS = {1: "Grey", 3: "RGB", 4: "Four-channel"}


class _Builder(flatbuffers.Builder):
    """A FlatBuffers builder that takes a table's fields as a dictionary."""

    def table(self, offsets: dict[int, int], bytes_: dict[int, int] | None = None) -> int:
        """Write a table.

        Args:
            offsets: Field number → position of a string, vector or table already written.
            bytes_: Field number → value of a one-byte field.
        """
        small = bytes_ or {}
        self.StartObject(1 + max([*offsets, *small]))
        for field, offset in offsets.items():
            self.PrependUOffsetTRelativeSlot(field, offset, 0)
        for field, value in small.items():
            self.PrependUint8Slot(field, value, 0)
        return int(self.EndObject())

    def tables(self, offsets: list[int]) -> int:
        """Write a vector of tables already written."""
        self.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.PrependUOffsetTRelative(offset)
        return int(self.EndVector())

    def text(self, value: str) -> int:
        """Write a string."""
        return int(self.CreateString(value))

    def floats(self, values: Any) -> int:
        """Write a vector of floats."""
        return int(self.CreateNumpyVector(np.asarray(values, np.float32)))


def build_metadata(spec: ModelSpec) -> bytes:
    """Return the metadata FlatBuffer: names, normalization, label file.

    Its normalization is TensorFlow Lite's, `(pixel - mean) / std`, per channel of RGB.
    """
    builder = _Builder(1024)
    graph = builder.table(
        {
            2: builder.tables([_input(builder, spec)]),
            3: builder.tables([_output(builder, spec)]),
        }
    )
    model = builder.table(
        {
            0: builder.text(spec.name),
            1: builder.text(spec.description),
            3: builder.tables([graph]),
            7: builder.text(_MIN_PARSER_VERSION),
        }
    )
    builder.Finish(model, file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _input(builder: _Builder, spec: ModelSpec) -> int:
    size = spec.preprocessing
    kind = _COLORS[size.channels]
    normalization = builder.table({0: builder.floats(size.mean), 1: builder.floats(size.std)})
    unit = builder.table({1: normalization}, {0: _NORMALIZATION_OPTIONS})
    properties = builder.table({}, {0: _COLOR_SPACES[size.channels]})
    content = builder.table({1: properties}, {0: _IMAGE_PROPERTIES})
    return builder.table(
        {
            0: builder.text("image"),
            1: builder.text(f"{kind} picture of {size.width} by {size.height} pixels, normalized."),
            3: content,
            4: builder.tables([unit]),
        }
    )


def _output(builder: _Builder, spec: ModelSpec) -> int:
    saliency = spec.kind == "saliency"
    labels = builder.table(
        {
            0: builder.text(LABELS_FILE),
            1: builder.text("Names of the label map's classes, one a line."),
        },
        {2: _TENSOR_VALUE_LABELS if saliency else _TENSOR_AXIS_LABELS},
    )
    meaning = "sigmoid gives the object's probability" if saliency else "soft-max over the classes"
    return builder.table(
        {
            0: builder.text("logits"),
            1: builder.text(f"One set of logits a pixel: {meaning}."),
            6: builder.tables([labels]),
        }
    )

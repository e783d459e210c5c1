"""Writes labels, normalization and our own description into a `.tflite` file.

Stock TFLite tools read the first two: a `TFLITE_METADATA` buffer after TensorFlow Lite's metadata
schema 1.0 (github.com/tensorflow/tflite-support, metadata_schema.fbs) and a ZIP archive behind the
FlatBuffer with the label file. `larq_dense.runtime.metadata` reads the rest.
"""

import io
import json
import zipfile
from typing import Any

import flatbuffers
import numpy as np

from larq_dense.common.errors import ConversionError
from larq_dense.common.files import sha256
from larq_dense.conversion.tflite_metadata import build_metadata
from larq_dense.runtime.metadata import DIGEST_FILE, LABELS_FILE, METADATA_NAME, parse
from larq_dense.runtime.spec import ModelSpec

_STANDARD_NAME = "TFLITE_METADATA"

# TFLite's schema aligns buffers to 16 bytes, which the Python builder forgets.
_ALIGNMENT = 16


class _AlignedBuilder(flatbuffers.Builder):
    def CreateNumpyVector(self, x: Any) -> Any:
        self.Prep(_ALIGNMENT, x.nbytes)
        return super().CreateNumpyVector(x)


def add_metadata(content: bytes, spec: ModelSpec) -> bytes:
    """Return a `.tflite` file with a model's description in it.

    Args:
        content: A file as converted, or one with an older description, which is replaced.
        spec: The description.

    Returns:
        The new file.

    Raises:
        ConversionError: The description does not fit the file's input or output.
        DataError: The file is damaged.

    Examples:
        >>> import dataclasses
        >>> from pathlib import Path
        >>> from larq_dense import conversion, runtime
        >>> content = Path("ecssd.tflite").read_bytes()
        >>> spec = dataclasses.replace(runtime.read_spec(content), description="ours")
        >>> runtime.read_spec(conversion.add_metadata(content, spec)).description
        'ours'
    """
    file = parse(content, "the converted file")
    shapes = [tensor.shape for tensor in (*file.inputs, *file.outputs)]
    expected = spec.preprocessing.input_shape
    if len(shapes) != 2 or shapes[0] != expected or shapes[1][-1] != spec.num_outputs:
        raise ConversionError(
            f"the file maps {list(map(list, shapes))}, but its description says a picture "
            f"{list(expected)} and {spec.num_outputs} outputs; describe the model that was "
            "converted."
        )
    description = json.dumps(spec.to_dict()).encode()
    flatbuffer = _with_buffers(
        content, {_STANDARD_NAME: build_metadata(spec), METADATA_NAME: description}
    )
    labels = "".join(f"{name}\n" for name in spec.class_names)
    digest = f"{len(flatbuffer)} {sha256(flatbuffer)}\n"
    return _with_archive(flatbuffer, {LABELS_FILE: labels, DIGEST_FILE: digest})


def _with_buffers(content: bytes, named: dict[str, bytes]) -> bytes:
    from larq_compute_engine.mlir.python import tflite_schema as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    entries = {entry.name: entry for entry in model.metadata or []}
    for name, value in named.items():
        if name.encode() not in entries:
            entry = schema.MetadataT()
            entry.name, entry.buffer = name, len(model.buffers)
            entries[name.encode()] = entry
            model.buffers.append(schema.BufferT())
        model.buffers[entries[name.encode()].buffer].data = np.frombuffer(value, np.uint8)
    model.metadata = list(entries.values())
    builder = _AlignedBuilder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _with_archive(flatbuffer: bytes, files: dict[str, str]) -> bytes:
    stream = io.BytesIO(flatbuffer)
    # Stored, not deflated: Android reads the files in place.
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            # ZipInfo's fixed default date keeps equal models equal byte for byte.
            archive.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()

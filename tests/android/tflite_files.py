"""Writes small `.tflite` files that carry a description, without TensorFlow."""

import io
import json
import zipfile
from typing import Any

import flatbuffers
import numpy as np
import pytest

from larq_dense.common.files import sha256
from larq_dense.runtime.metadata import DIGEST_FILE, METADATA_NAME
from larq_dense.runtime.spec import ModelSpec


def described(spec: ModelSpec, behind: bool = False) -> bytes:
    """Return a file of one RELU with a description.

    Args:
        spec: The description.
        behind: Whether its buffer lies behind the FlatBuffer, as very large files have it.
    """
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    size = spec.preprocessing
    content = json.dumps(spec.to_dict()).encode()
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.tensors = [schema.TensorT() for _ in range(2)]
    for tensor in graph.tensors:
        tensor.shape = [1, size.height, size.width, 3]
    operator = schema.OperatorT()
    graph.inputs, graph.outputs = operator.inputs, operator.outputs = [0], [1]
    graph.operators = [operator]
    model.subgraphs = [graph]
    other, ours = schema.BufferT(), schema.BufferT()
    other.data = np.frombuffer(b"something else", np.uint8)
    model.buffers = [schema.BufferT(), other, ours]
    model.metadata = []
    for name, buffer in (("min_runtime_version", 1), (METADATA_NAME, 2)):
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, buffer
        model.metadata.append(entry)
    if behind:
        # The offset is written as it will be: a first packing tells the length.
        ours.offset, ours.size = 1 << 20, len(content)
        ours.offset = len(_pack(model))
        return _with_digest(_pack(model) + content)
    ours.data = np.frombuffer(content, np.uint8)
    return _with_digest(_pack(model))


def _pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _with_digest(content: bytes) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(DIGEST_FILE, f"{len(content)} {sha256(content)}\n")
    return stream.getvalue()

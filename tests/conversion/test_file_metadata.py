import dataclasses
import io
import zipfile
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tiny_models as tiny
from flatbuffers import number_types
from larq_compute_engine.mlir.python import tflite_schema as schema

from larq_dense.common.errors import ConversionError
from larq_dense.conversion import add_metadata
from larq_dense.runtime import read_spec


@pytest.fixture(scope="module")
def content() -> bytes:
    return tiny.converted()[1].content


def metadata_buffer(content: bytes, name: bytes) -> bytes:
    model = schema.Model.GetRootAsModel(content, 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    (index,) = (entry.Buffer() for entry in entries if entry.Name() == name)
    return bytes(model.Buffers(index).DataAsNumpy())


class Table:
    """A table of TFLite's metadata, read by FlatBuffers' own runtime and the schema's numbers."""

    def __init__(self, content: bytes, position: int | None = None) -> None:
        if position is None:
            position = flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0)
        self.table = flatbuffers.table.Table(bytearray(content), position)

    def at(self, field: int) -> int:
        return self.table.Offset(4 + 2 * field) + self.table.Pos

    def text(self, field: int) -> str:
        return self.table.String(self.at(field)).decode()

    def child(self, field: int) -> "Table":
        return Table(self.table.Bytes, self.table.Indirect(self.at(field)))

    def item(self, field: int, index: int = 0) -> "Table":
        start = self.table.Vector(self.table.Offset(4 + 2 * field))
        return Table(self.table.Bytes, self.table.Indirect(start + 4 * index))

    def byte(self, field: int) -> int:
        return self.table.Get(number_types.Uint8Flags, self.at(field))

    def floats(self, field: int) -> Any:
        offset = self.table.Offset(4 + 2 * field)
        return self.table.GetVectorAsNumpy(number_types.Float32Flags, offset)


def test_the_file_tells_its_whole_description(content: bytes) -> None:
    assert read_spec(content) == tiny.spec()


def test_stock_tools_find_normalization_and_labels(content: bytes) -> None:
    standard = metadata_buffer(content, b"TFLITE_METADATA")
    assert standard[4:8] == b"M001"
    model = Table(standard)
    assert model.text(0) == "tiny"
    graph = model.item(3)
    image = graph.item(2)
    assert image.text(0) == "image"
    assert image.child(3).byte(0) == 2  # ContentProperties: ImageProperties
    assert image.child(3).child(1).byte(0) == 1  # ColorSpaceType: RGB
    unit = image.item(4)
    assert unit.byte(0) == 1  # ProcessUnitOptions: NormalizationOptions
    np.testing.assert_allclose(unit.child(1).floats(0), [120.0, 115.5, 110.0])
    np.testing.assert_allclose(unit.child(1).floats(1), [60.0, 59.0, 58.5])
    labels = graph.item(3).item(6)
    assert labels.text(0) == "labels.txt"
    assert labels.byte(2) == 2  # AssociatedFileType: TENSOR_AXIS_LABELS
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt") == b"sky\nroad\ntree\n"


def test_constants_stay_aligned(content: bytes) -> None:
    model = schema.Model.GetRootAsModel(content, 0)
    whole = np.frombuffer(content, np.uint8).ctypes.data
    buffers = [model.Buffers(index).DataAsNumpy() for index in range(model.BuffersLength())]
    offsets = [each.ctypes.data - whole for each in buffers if not isinstance(each, int)]
    assert len(offsets) > 8
    assert all(offset % 16 == 0 for offset in offsets)


def test_describing_again_replaces_the_old_description(content: bytes) -> None:
    renamed = add_metadata(content, dataclasses.replace(tiny.spec(), name="renamed"))
    assert read_spec(renamed) == dataclasses.replace(tiny.spec(), name="renamed")
    assert add_metadata(renamed, tiny.spec()) == content


@pytest.mark.parametrize("wrong", [tiny.spec("saliency"), tiny.spec(height=64)])
def test_a_description_that_does_not_fit_is_refused(content: bytes, wrong: Any) -> None:
    with pytest.raises(ConversionError, match="but its description says"):
        add_metadata(content, wrong)

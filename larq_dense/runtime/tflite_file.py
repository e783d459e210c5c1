"""Reads the structure of a `.tflite` file with every offset checked.

LCE's interpreter does not verify a file before it walks it: a flipped byte can end the whole
process with a segmentation fault. This reader needs only NumPy, walks the same tables first and
turns a bad offset into an exception.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IDENTIFIER = b"TFL3"

# TensorType of TensorFlow Lite's schema → NumPy, for the types that occur in these models.
_DTYPES: dict[int, Any] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    2: np.dtype("<i4"),
    3: np.dtype("u1"),
    4: np.dtype("<i8"),
    6: np.dtype("?"),
    9: np.dtype("i1"),
}


class DamagedFileError(ValueError):
    """An offset or a length points outside the file."""


class _Table:
    """A FlatBuffers table: fields by their index in the schema."""

    def __init__(self, data: memoryview, position: int) -> None:
        self._data = data
        self._position = position
        vtable = position - _unpack(data, "<i", position)
        self._size = _unpack(data, "<H", vtable)
        self._vtable = vtable

    def _offset(self, field: int) -> int | None:
        slot = 4 + 2 * field
        if slot + 2 > self._size:
            return None
        offset = _unpack(self._data, "<H", self._vtable + slot)
        return self._position + offset if offset else None

    def scalar(self, field: int, form: str, default: int = 0) -> int:
        position = self._offset(field)
        return default if position is None else _unpack(self._data, form, position)

    def table(self, field: int) -> "_Table | None":
        position = self._offset(field)
        return None if position is None else _Table(self._data, self._follow(position))

    def tables(self, field: int) -> "list[_Table]":
        position, count = self._vector(field, 4)
        starts = range(position, position + 4 * count, 4)
        return [_Table(self._data, self._follow(start)) for start in starts]

    def content(self, field: int) -> memoryview:
        position, count = self._vector(field, 1)
        return self._data[position : position + count]

    def text(self, field: int) -> str:
        return bytes(self.content(field)).decode("utf-8", "replace")

    def integers(self, field: int) -> tuple[int, ...]:
        return self.numbers(field, "<i4")

    def numbers(self, field: int, form: str) -> tuple[Any, ...]:
        position, count = self._vector(field, np.dtype(form).itemsize)
        return tuple(np.frombuffer(self._data, form, count, position).tolist())

    def _follow(self, position: int) -> int:
        return position + _unpack(self._data, "<I", position)

    def _vector(self, field: int, item: int) -> tuple[int, int]:
        position = self._offset(field)
        if position is None:
            return 0, 0
        start = self._follow(position)
        count = _unpack(self._data, "<I", start)
        if start + 4 + item * count > len(self._data):
            raise DamagedFileError(f"a list of {count} items does not fit into the file")
        return start + 4, count


def _unpack(data: memoryview, form: str, position: int) -> int:
    if position < 0:
        raise DamagedFileError(f"an offset points to {position}")
    try:
        return int(struct.unpack_from(form, data, position)[0])
    except struct.error as error:
        raise DamagedFileError(f"an offset points to {position} of {len(data)} bytes") from error


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        name: Its name.
        shape: Its shape.
        type: Its type, a number of TFLite's schema.
        content: A constant's bytes, else empty.
        scale: What one step of an integer is worth; 0 if not given, or not the same for all.
        zero_point: The integer that means 0.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    content: memoryview
    scale: float = 0.0
    zero_point: int = 0

    @property
    def dtype(self) -> str:
        """NumPy's name of the type, or `type N` for one that these models do not hold."""
        return _DTYPES[self.type].name if self.type in _DTYPES else f"type {self.type}"

    @property
    def values(self) -> NDArray[Any] | None:
        """The constant's values, or None for a tensor that is computed."""
        if not len(self.content) or self.type not in _DTYPES:
            return None
        return np.frombuffer(self.content, _DTYPES[self.type]).reshape(self.shape)


@dataclass(frozen=True)
class Operator:
    """One operation.

    Attributes:
        builtin: Its number among TFLite's own operations; 32 marks a custom one.
        custom_name: The custom operation's name, else empty.
        inputs: Its input tensors; None for one that is left out.
        outputs: Its output tensors.
        options: A custom operation's settings, a FlexBuffer.
    """

    builtin: int
    custom_name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: memoryview


@dataclass(frozen=True)
class TfliteFile:
    """A model's structure.

    Attributes:
        inputs: The main graph's input tensors.
        outputs: The main graph's output tensors.
        operators: The operations of every graph in the file.
        metadata: Named byte strings next to the graph.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    metadata: dict[str, bytes]

    @classmethod
    def parse(cls, content: bytes) -> "TfliteFile":
        """Read a file's structure; what follows the FlatBuffer, such as a ZIP, is ignored.

        Raises:
            DamagedFileError: It is no TFLite file, or one that is cut or damaged.
        """
        if content[4:8] != IDENTIFIER:
            raise DamagedFileError("the mark TFL3 is missing")
        data = memoryview(content)
        model = _Table(data, _unpack(data, "<I", 0))
        buffers = [_buffer(data, table) for table in model.tables(4)]
        codes = [_operator_code(table) for table in model.tables(1)]
        graphs = [_graph(table, codes, buffers) for table in model.tables(2)]
        if not graphs:
            raise DamagedFileError("there is no graph in the file")
        metadata = {
            table.text(0): bytes(_item(buffers, table.scalar(1, "<I"))) for table in model.tables(6)
        }
        operators = tuple(operator for graph in graphs for operator in graph[2])
        return cls(graphs[0][0], graphs[0][1], operators, metadata)


def _buffer(data: memoryview, table: _Table) -> memoryview:
    offset, size = table.scalar(1, "<Q"), table.scalar(2, "<Q")
    # Since 2023 a buffer may lie behind the FlatBuffer, by offset and size.
    if offset > 1:
        if offset + size > len(data):
            raise DamagedFileError("a buffer lies outside the file")
        return data[offset : offset + size]
    return table.content(0)


def _operator_code(table: _Table) -> tuple[int, str]:
    # Operations up to 127 are also, in old files only, in a one-byte field.
    return max(table.scalar(0, "<b"), table.scalar(3, "<i")), table.text(1)


_Graph = tuple[tuple[Tensor, ...], tuple[Tensor, ...], list[Operator]]


def _graph(table: _Table, codes: list[tuple[int, str]], buffers: list[memoryview]) -> _Graph:
    tensors = [_tensor(each, buffers) for each in table.tables(0)]
    operators = []
    for each in table.tables(3):
        builtin, custom_name = _item(codes, each.scalar(0, "<I"))
        inputs = tuple(None if i == -1 else _item(tensors, i) for i in each.integers(1))
        outputs = tuple(_item(tensors, i) for i in each.integers(2))
        operators.append(Operator(builtin, custom_name, inputs, outputs, each.content(5)))
    ends = [tuple(_item(tensors, i) for i in table.integers(field)) for field in (1, 2)]
    return ends[0], ends[1], operators


def _tensor(table: _Table, buffers: list[memoryview]) -> Tensor:
    shape, kind = table.integers(0), table.scalar(1, "<b")
    content = _item(buffers, table.scalar(2, "<I"))
    if len(content) and kind in _DTYPES:
        expected = int(np.prod(shape, dtype=np.int64)) * _DTYPES[kind].itemsize
        if min(shape, default=0) < 0 or expected != len(content):
            raise DamagedFileError(f"a constant of shape {shape} has {len(content)} bytes")
    return Tensor(table.text(3), shape, kind, content, *_steps(table.table(4)))


def _steps(quantization: _Table | None) -> tuple[float, int]:
    """Return scale and zero point, where a tensor has one of each."""
    if quantization is None:
        return 0.0, 0
    scales, zero_points = quantization.numbers(2, "<f4"), quantization.numbers(3, "<i8")
    if len(scales) != 1 or len(zero_points) != 1:
        return 0.0, 0
    return scales[0], zero_points[0]


def _item(items: Any, index: int) -> Any:
    if not 0 <= index < len(items):
        raise DamagedFileError(f"an index points to {index} of {len(items)} items")
    return items[index]

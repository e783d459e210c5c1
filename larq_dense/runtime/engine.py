"""The engine: runs converted int8 networks without TensorFlow Lite or LiteRT.

The same shared library that plugs into a stock interpreter as a delegate can run a whole network
whose tensors between the binary layers are int8 (`native/include/larq_dense_engine.h`).
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.runtime.library import check_options, load_library

_DTYPES: dict[int, type[np.generic]] = {1: np.float32, 2: np.int32, 3: np.bool_, 4: np.int8}
_DAMAGED, _UNSUPPORTED, _NO_MEMORY = 1, 2, 3
_MAX_RANK = 6


class UnsupportedError(DataError):
    """A sound file that holds an operator which the engine does not run."""


class _Description(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_int32 * _MAX_RANK),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
        ("bytes", ctypes.c_size_t),
    )


@dataclass(frozen=True)
class EngineTensor:
    """An input or an output.

    Attributes:
        shape: Its shape.
        dtype: Its type.
        scale: What one step of an integer is worth; 0 where it has no range.
        zero_point: The integer that means 0.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int


class Engine:
    """A network that runs without an interpreter.

    It may be shared by threads, which then take turns.

    Args:
        model: The `.tflite` file's bytes; they are not needed afterwards.
        num_threads: Threads of the computation, 1 to 64.
        instruction_set: One of `xnor.instruction_sets()`; the fastest where it is not given. The
            environment variable `LARQ_DENSE_XNOR_ISA` says the same for a whole process.

    Raises:
        UnsupportedError: The file is sound, but the engine does not know all its operators.
        DataError: The file is damaged.
        LarqDenseError: The library is not there, or an argument is out of range.

    Example:
        >>> engine = Engine(Path("ecssd_int8.tflite").read_bytes(), num_threads=2)
        >>> (logits,) = engine.run([picture])  # int8 [1, height, width, 3]
    """

    def __init__(
        self,
        model: bytes | bytearray | memoryview,
        num_threads: int = 1,
        *,
        instruction_set: str | None = None,
    ) -> None:
        check_options(num_threads, instruction_set)
        self._handle = ctypes.c_void_p()
        self._native = _native()
        self._threads = num_threads
        self._turn = threading.Lock()
        message = ctypes.create_string_buffer(256)
        content = np.frombuffer(model, np.uint8)
        name = None if instruction_set is None else instruction_set.encode()
        status = self._native.larq_dense_engine_open(
            content.ctypes.data,
            content.size,
            name,
            ctypes.byref(self._handle),
            message,
            len(message),
        )
        if status != 0:
            raise _error(
                status,
                f"the engine cannot open the model: {_text(message)}.",
            )
        self.inputs = self._describe("input")
        self.outputs = self._describe("output")

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs for some inputs.

        Args:
            inputs: As many arrays as `self.inputs`, each of that shape and type.

        Raises:
            LarqDenseError: An input has another shape or type, or memory is short.
        """
        if len(inputs) != len(self.inputs):
            raise LarqDenseError(f"the model takes {len(self.inputs)} inputs, not {len(inputs)}.")
        arrays = [self._checked(*pair) for pair in zip(inputs, self.inputs, strict=True)]
        outputs = [np.empty(each.shape, each.dtype) for each in self.outputs]
        message = ctypes.create_string_buffer(256)
        with self._turn:
            status = self._native.larq_dense_engine_run(
                self._handle, _pointers(arrays), _pointers(outputs), self._threads, message, 256
            )
        if status != 0:
            raise _error(status, f"the engine failed: {_text(message)}.")
        return outputs

    @property
    def instruction_set(self) -> str:
        """The instruction set that it uses."""
        name: bytes = self._native.larq_dense_engine_instruction_set(self._handle)
        return name.decode()

    def metadata(self, name: str) -> bytes | None:
        """Return the bytes that the file holds under a name next to its graph, if there are any."""
        size = ctypes.c_size_t()
        data = self._native.larq_dense_engine_metadata(
            self._handle, name.encode(), ctypes.byref(size)
        )
        return ctypes.string_at(data, size.value) if data else None

    def __reduce__(self) -> Any:
        raise TypeError("an Engine holds native memory; pickle the file's bytes instead.")

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._native.larq_dense_engine_close(self._handle)

    def _describe(self, end: str) -> tuple[EngineTensor, ...]:
        count = getattr(self._native, f"larq_dense_engine_{end}_count")(self._handle)
        described = _Description()
        ends = []
        for i in range(count):
            getattr(self._native, f"larq_dense_engine_{end}")(
                self._handle, i, ctypes.byref(described)
            )
            shape = tuple(described.dims[: described.rank])
            dtype = np.dtype(_DTYPES[described.type])
            ends.append(EngineTensor(shape, dtype, described.scale, described.zero_point))
        return tuple(ends)

    @staticmethod
    def _checked(array: NDArray[Any], wanted: EngineTensor) -> NDArray[Any]:
        if array.shape != wanted.shape or array.dtype != wanted.dtype:
            raise LarqDenseError(
                f"the model takes {wanted.dtype} {list(wanted.shape)}, not "
                f"{array.dtype} {list(array.shape)}."
            )
        return np.ascontiguousarray(array)


def _pointers(arrays: Sequence[NDArray[Any]]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _text(message: Any) -> str:
    text: bytes = message.value
    return text.decode(errors="replace")


def _error(status: int, sentence: str) -> LarqDenseError:
    kinds = {_DAMAGED: DataError, _UNSUPPORTED: UnsupportedError}
    return kinds.get(status, LarqDenseError)(sentence)


@functools.cache
def _native() -> ctypes.CDLL:
    native = load_library()
    handle, text, message = ctypes.c_void_p, ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_size_t)
    size, tensor = ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(_Description)
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "open": (
            ctypes.c_int,
            (handle, ctypes.c_size_t, text, ctypes.POINTER(handle), *message),
        ),
        "close": (None, (handle,)),
        "input_count": (ctypes.c_int, (handle,)),
        "output_count": (ctypes.c_int, (handle,)),
        "input": (ctypes.c_int, (handle, ctypes.c_int, tensor)),
        "output": (ctypes.c_int, (handle, ctypes.c_int, tensor)),
        "instruction_set": (text, (handle,)),
        "metadata": (handle, (handle, text, size)),
        "run": (
            ctypes.c_int,
            (handle, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *message),
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(native, f"larq_dense_engine_{name}")
        function.restype, function.argtypes = result, arguments
    return native

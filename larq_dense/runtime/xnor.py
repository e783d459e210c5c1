"""The XNOR runtime: files from Larq Compute Engine on an unmodified interpreter.

A shared library, written in C++ and built when this package is installed, plugs into
LiteRT's or TensorFlow Lite's stock interpreter as an external delegate and computes LCE's
operators there. This module imports neither interpreter until one is asked for.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.extra import is_installed
from larq_dense.runtime.library import (
    check_options,
    instruction_sets,
    library_path,
    load_library,
    why_no_library,
)

__all__ = [
    "available",
    "instruction_sets",
    "library_path",
    "limit_macs",
    "load",
    "why_unavailable",
]

# Where the stock interpreters live, the lightest first.
_INTERPRETERS = ("ai_edge_litert.interpreter", "tensorflow.lite.python.interpreter")


@functools.cache
def why_unavailable() -> str | None:
    """Say in a sentence why this machine cannot run the XNOR runtime; `None` where it can."""
    reason = why_no_library()
    if reason is not None:
        return reason
    if not any(is_installed(name) for name in _INTERPRETERS):
        return "neither ai-edge-litert nor tensorflow is installed, and one of them is needed."
    return None


def available() -> bool:
    """Return whether `load` works on this machine."""
    return why_unavailable() is None


def limit_macs(instruction_set: str, iterations: int) -> int:
    """Run the register-only xor, popcount, add loop: the most that a processor can do.

    Args:
        instruction_set: One of `instruction_sets()`.
        iterations: How often the loop runs.

    Returns:
        The binary multiply-adds that the loop was worth; the caller takes the time.

    Raises:
        LarqDenseError: The library or the instruction set is not there.
    """
    total = ctypes.c_uint32()
    macs = load_library().larq_dense_xnor_limit(
        instruction_set.encode(), iterations, ctypes.byref(total)
    )
    if macs == 0:
        raise LarqDenseError(
            f"this processor has no instruction set {instruction_set!r}; it has "
            f"{', '.join(instruction_sets())}."
        )
    return int(macs)


def _interpreter_module() -> ModuleType:
    for name in _INTERPRETERS:
        if is_installed(name):
            if name.startswith("tensorflow"):
                importlib.import_module("larq_dense.common.keras2")
            return importlib.import_module(name)
    raise LarqDenseError(str(why_unavailable()))


@functools.cache
def _interpreter_class(module: ModuleType) -> type[Any]:
    """Return the stock interpreter's class with a shorthand for one input and one output."""
    stock: type[Any] = module.Interpreter

    class DelegateInterpreter(stock):
        """A stock interpreter whose nodes of LCE's run in the XNOR delegate."""

        @property
        def input_shape(self) -> tuple[int, ...]:
            """The first input's shape."""
            return tuple(int(size) for size in self.get_input_details()[0]["shape"])

        @property
        def output_shape(self) -> tuple[int, ...]:
            """The first output's shape."""
            return tuple(int(size) for size in self.get_output_details()[0]["shape"])

        def run(self, inputs: NDArray[Any]) -> NDArray[Any]:
            """Return the first output for the first input.

            Args:
                inputs: The input, in the shape and type that the model takes.

            Raises:
                LarqDenseError: The input has another shape or type, or the run failed.
            """
            detail = self.get_input_details()[0]
            if tuple(inputs.shape) != self.input_shape or inputs.dtype != detail["dtype"]:
                raise LarqDenseError(
                    f"the model takes {np.dtype(detail['dtype'])} {list(self.input_shape)}, not "
                    f"{inputs.dtype} {list(inputs.shape)}."
                )
            self.set_tensor(detail["index"], inputs)
            try:
                self.invoke()
            except RuntimeError as error:
                raise LarqDenseError(f"the XNOR runtime failed: {error}") from error
            outputs: NDArray[Any] = self.get_tensor(self.get_output_details()[0]["index"])
            return outputs

    return DelegateInterpreter


def stock(model: bytes, num_threads: int = 1) -> Any:
    """Open a file in the stock interpreter without the delegate, as it runs without this package.

    Args:
        model: The `.tflite` file's bytes.
        num_threads: Threads of the computation.

    Returns:
        An interpreter with its tensors allocated.

    Raises:
        LarqDenseError: There is no stock interpreter.
        DataError: It cannot run this model.
    """
    module = _interpreter_module()
    try:
        interpreter = module.Interpreter(model_content=bytes(model), num_threads=num_threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise DataError(f"the stock interpreter cannot run this model: {error}") from error
    return interpreter


def load(
    model: str | os.PathLike[str] | bytes,
    num_threads: int = 1,
    *,
    instruction_set: str | None = None,
    fuse: bool = True,
) -> Any:
    """Open a converted model in a stock interpreter with the XNOR delegate in place.

    Args:
        model: The `.tflite` file's path, or its bytes.
        num_threads: How many threads the interpreter and the delegate use, 1 to 64.
        instruction_set: One of `instruction_sets()`; the fastest where it is not given. The
            environment variable `LARQ_DENSE_XNOR_ISA` says the same for a whole process.
        fuse: Whether float and int8 operators next to LCE's are computed together with them.

    Returns:
        An interpreter with its tensors allocated: `ai_edge_litert.interpreter.Interpreter` where
        LiteRT is installed, else `tf.lite.Interpreter`, and on top of what that offers `run`,
        `input_shape` and `output_shape`.

    Raises:
        LarqDenseError: The runtime is not available here, or an option is wrong.
        DataError: It cannot run this model.
    """
    reason = why_unavailable()
    if reason is not None:
        raise LarqDenseError(reason)
    check_options(num_threads, instruction_set)
    module = _interpreter_module()
    options = {"fuse": str(int(fuse)), "num_threads": str(num_threads)}
    if instruction_set is not None:
        options["instruction_set"] = instruction_set
    source: dict[str, Any] = (
        {"model_content": bytes(model)}
        if isinstance(model, bytes | bytearray | memoryview)
        else {"model_path": os.fspath(model)}
    )
    try:
        delegate = module.load_delegate(os.fspath(library_path()), options)
        interpreter = _interpreter_class(module)(
            **source, num_threads=num_threads, experimental_delegates=[delegate]
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise DataError(f"the XNOR runtime cannot run this model: {error}") from error
    return interpreter

"""Runs a converted file: one small interface over whatever executes it."""

import importlib
import platform
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import INSTALL_EXTRA, DataError, LarqDenseError
from larq_dense.common.extra import is_installed
from larq_dense.common.images import CHANNELS
from larq_dense.common.threads import check_threads
from larq_dense.runtime import xnor
from larq_dense.runtime.engine import Engine, UnsupportedError
from larq_dense.runtime.library import why_no_library
from larq_dense.runtime.metadata import parse, read_file
from larq_dense.runtime.tflite_file import Tensor, TfliteFile

Runtime = Literal["auto", "native", "xnor", "lce"]
Kernel = Literal["default", "reference", "indirect"]

LCE_OPERATIONS = ("LceQuantize", "LceDequantize", "LceBconv2d", "LceBMaxPool2d")


class Interpreter(Protocol):
    """A loaded model with one picture in and one map of logits out.

    Examples:
        >>> from larq_dense.runtime import load
        >>> interpreter = load("ecssd.tflite")
        >>> interpreter.run(np.zeros(interpreter.input_shape, np.float32)).shape
        (1, 256, 256, 1)
    """

    @property
    def input_shape(self) -> tuple[int, ...]:
        """`(1, height, width, channels)`."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """`(1, height, width, channels)`."""

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of one picture.

        Args:
            inputs: float32 `[1, height, width, channels]`, normalized.

        Returns:
            float32 `[1, height, width, channels]`.

        Raises:
            DataError: The input has another shape.
        """


class LceInterpreter:
    """Larq Compute Engine's own interpreter.

    Args:
        model: A `.tflite` file or its bytes.
        num_threads: Threads of the computation.
        kernel: LCE's implementation of the binary convolution. None takes the fastest one:
            `"indirect"` on x86, where the default is several times slower, and `"default"`,
            which is written by hand for it, on 64-bit Arm.

    Raises:
        DataError: The file is missing, damaged, or LCE cannot run it.
        LarqDenseError: LCE is not installed.

    Examples:
        >>> from larq_dense.runtime import LceInterpreter
        >>> LceInterpreter("ecssd.tflite").input_shape
        (1, 256, 256, 3)
    """

    def __init__(
        self, model: str | Path | bytes, num_threads: int = 1, kernel: Kernel | None = None
    ) -> None:
        content, label = read_file(model)
        self._ends = _Ends(parse(content, label), label)
        self.input_shape, self.output_shape = self._ends.shapes
        kernel = kernel or _fastest_kernel()
        try:
            self._interpreter = _lce()(
                content,
                num_threads=num_threads,
                use_reference_bconv=kernel == "reference",
                use_indirect_bgemm=kernel == "indirect",
            )
        except RuntimeError as error:
            raise DataError(
                f"Larq Compute Engine cannot run {label}; convert it again by `larq-dense convert`."
            ) from error

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of one picture.

        Args:
            inputs: float32 `[1, height, width, 3]`, normalized.

        Returns:
            float32 `[1, height, width, channels]`.

        Raises:
            DataError: The input has another shape.
        """
        return self._ends.decode(self._interpreter.predict(self._ends.encode(inputs)))


class NativeInterpreter:
    """The engine of larq_dense, which needs no interpreter; of files whose tensors are int8.

    Args:
        model: A `.tflite` file or its bytes.
        num_threads: Threads of the computation.

    Raises:
        UnsupportedError: The file is sound, but holds an operator that the engine does not run.
        DataError: The file is missing or damaged.
        LarqDenseError: The native library was not built here.

    Examples:
        >>> from larq_dense.runtime import NativeInterpreter
        >>> interpreter = NativeInterpreter("ecssd_int8.tflite", num_threads=2)
        >>> interpreter.run(np.zeros((1, 256, 256, 3), np.float32)).dtype
        dtype('float32')
    """

    def __init__(self, model: str | Path | bytes, num_threads: int = 1) -> None:
        content, label = read_file(model)
        self._ends = _Ends(parse(content, label), label)
        self.input_shape, self.output_shape = self._ends.shapes
        self._engine = Engine(content, num_threads)

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of one picture; see `LceInterpreter.run`."""
        return self._ends.decode(self._engine.run([self._ends.encode(inputs)])[0])


class XnorInterpreter:
    """The native runtime of larq_dense, in a stock LiteRT or TensorFlow Lite interpreter.

    Args:
        model: A `.tflite` file or its bytes.
        num_threads: Threads of the computation.

    Raises:
        DataError: The file is missing, damaged, or not one that the runtime can run.
        LarqDenseError: The runtime was not built here.

    Examples:
        >>> from larq_dense.runtime import XnorInterpreter
        >>> XnorInterpreter("ecssd.tflite").output_shape
        (1, 256, 256, 1)
    """

    def __init__(self, model: str | Path | bytes, num_threads: int = 1) -> None:
        content, label = read_file(model)
        self._ends = _Ends(parse(content, label), label)
        self.input_shape, self.output_shape = self._ends.shapes
        self._interpreter = xnor.load(content, num_threads)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of one picture; see `LceInterpreter.run`.

        Raises:
            DataError: The input has another shape.
            LarqDenseError: The run failed.
        """
        self._interpreter.set_tensor(self._input, self._ends.encode(inputs))
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise LarqDenseError(f"the XNOR runtime failed: {error}") from error
        return self._ends.decode(self._interpreter.get_tensor(self._output))


def load(model: str | Path | bytes, num_threads: int = 1, runtime: Runtime = "auto") -> Interpreter:
    """Load a converted model.

    Args:
        model: A `.tflite` file or its bytes.
        num_threads: Threads of the computation.
        runtime: `"native"`, this package's engine, which runs files of int8 tensors and needs no
            interpreter; `"xnor"`, its delegate in LiteRT's or TensorFlow Lite's; `"lce"`, Larq
            Compute Engine's interpreter; `"auto"`, the first of them that is there and can run
            the file.

    Returns:
        What runs it: pictures float32 `[1, height, width, 3]`, normalized, in; logits float32
        `[1, height, width, channels]` out.

    Raises:
        DataError: The file is missing, damaged, or not one that the runtime can run.
        LarqDenseError: The runtime asked for is not installed, or takes not so many threads.

    Examples:
        >>> from larq_dense.runtime import load
        >>> load("ecssd_int8.tflite", runtime="native").output_shape
        (1, 256, 256, 1)
    """
    check_threads(num_threads)
    if runtime == "auto":
        if why_no_library() is None:
            try:
                return NativeInterpreter(model, num_threads)
            except UnsupportedError:
                pass  # a file with float between the binary layers
        # Without either, the XNOR runtime is the easier one to install.
        lce = not xnor.available() and is_installed("larq_compute_engine")
        runtime = "lce" if lce else "xnor"
    if runtime == "native":
        return NativeInterpreter(model, num_threads)
    return (LceInterpreter if runtime == "lce" else XnorInterpreter)(model, num_threads)


def _lce() -> Any:
    # It imports TensorFlow.
    importlib.import_module("larq_dense.common.keras2")
    try:
        from larq_compute_engine.tflite.python.interpreter import Interpreter as Lce
    except ImportError as error:
        raise LarqDenseError(
            f"Larq Compute Engine is not usable here ({error}); {INSTALL_EXTRA}."
        ) from error
    return Lce


def _fastest_kernel() -> Kernel:
    return "default" if platform.machine().lower() in ("arm64", "aarch64") else "indirect"


class _Ends:
    """A file's one input and one output, which may be int8."""

    def __init__(self, file: TfliteFile, label: str) -> None:
        self._input, self._output = _check(file, label)
        self.shapes = self._input.shape, self._output.shape

    def encode(self, inputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return a normalized picture in the input's own type."""
        tensor = self._input
        if inputs.shape != tensor.shape:
            raise DataError(
                f"the model takes an input of {list(tensor.shape)}, not {list(inputs.shape)}."
            )
        inputs = inputs.astype(np.float32)
        if tensor.dtype == "float32":
            return inputs
        # Halves go up, as in the network's training.
        steps = np.floor(inputs / np.float32(tensor.scale) + np.float32(0.5)) + tensor.zero_point
        return steps.clip(-128, 127).astype(np.int8)

    def decode(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return logits, of the output's own type, as float32."""
        if outputs.dtype == np.float32:
            return outputs
        steps = outputs.astype(np.float32) - self._output.zero_point
        logits: NDArray[np.float32] = steps * np.float32(self._output.scale)
        return logits


def _check(file: TfliteFile, label: str) -> tuple[Tensor, Tensor]:
    """Return the one input and the one output of a model that maps a picture to logits."""
    for operator in file.operators:
        if operator.custom_name and operator.custom_name not in LCE_OPERATIONS:
            raise DataError(
                f"{label} holds the custom operation {operator.custom_name}, which is not one of "
                "Larq Compute Engine's; make the file by `larq-dense convert`."
            )
    ends = (*file.inputs, *file.outputs)
    fits = len(file.inputs) == len(file.outputs) == 1 and all(
        _is_known(tensor) and len(tensor.shape) == 4 and tensor.shape[0] == 1 for tensor in ends
    )
    if not fits or file.inputs[0].shape[-1] not in CHANNELS:
        shown = ", ".join(f"{each.dtype} {list(each.shape)}" for each in ends)
        raise DataError(
            f"{label} does not map one float32 picture [1, height, width, 1, 3 or 4] to float32 "
            f"logits, nor int8 to int8 (it has {shown}); make the file by `larq-dense convert`."
        )
    return file.inputs[0], file.outputs[0]


def _is_known(tensor: Tensor) -> bool:
    return tensor.dtype == "float32" or (tensor.dtype == "int8" and tensor.scale > 0)

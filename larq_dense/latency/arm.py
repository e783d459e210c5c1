"""Milliseconds of a file on Arm cores, by a cost model: no Arm core is needed.

The model is a sum over the file's operators of work divided by a rate. The work is counted from the
shapes: multiply-adds, values written, bits packed. The rates are those of inner loops as `llvm-mca`
simulates them (`benchmarks/arm_rates.py` writes `arm_rates.json`), on one core:

| operator | costs |
| --- | --- |
| `LceBconv2d` | binary multiply-adds by the XNOR runtime's NEON kernel; its values requantized |
| `CONV_2D`, int8 | multiply-adds by `sdot`, or `smmla` where the core has it; values requantized |
| `DEPTHWISE_CONV_2D`, int8 | multiply-adds by `smlal`; values requantized |
| both in float32 | multiply-adds by `fmla` |
| `LceQuantize` | bits packed |
| sums, products, copies of int8, between binary layers | a saturating addition: one range |
| the same in a file without any | XNNPACK's rescaled addition |
| `MAX_POOL_2D`, `RESIZE_BILINEAR` | their own loops |
| all else | a float32 addition for each value |

What it leaves out makes every network slower than it says: memory traffic, the ends of loops,
calls. It leaves out the same for all, which is why its figures are for comparing networks with each
other, on one core, and for nothing else. No Arm core has checked them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from larq_dense.runtime.metadata import parse
from larq_dense.runtime.tflite_file import Operator, TfliteFile


@dataclass(frozen=True)
class Core:
    """An Arm core.

    Attributes:
        name: As tables call it.
        model: llvm-mca's name of it.
        gigahertz: Its clock in the phones that have it.
        int8: The loop that convolves int8 on it.
    """

    name: str
    model: str
    gigahertz: float
    int8: str


CORES = (
    Core("Cortex-A55", "cortex-a55", 1.8, "int8_macs_sdot"),
    Core("Cortex-A76", "cortex-a76", 2.4, "int8_macs_sdot"),
    Core("Neoverse-N2", "neoverse-n2", 2.8, "int8_macs_smmla"),
)
"""A small core, a large one, and one with `smmla`, the sister of Cortex-A710 and X2."""

# TensorFlow Lite's numbers.
_ADD, _CONCATENATION, _CONV, _DEPTHWISE = 0, 2, 3, 4
_DEPTH_TO_SPACE, _MAX_POOL, _MUL, _RELU, _RELU6 = 5, 17, 18, 19, 21
_RESIZE_BILINEAR, _PAD, _RESHAPE, _RESIZE_NEAREST = 23, 34, 22, 97
_CHEAP = (_ADD, _CONCATENATION, _DEPTH_TO_SPACE, _MUL, _PAD, _RELU, _RELU6, _RESIZE_NEAREST)
_FREE = (_RESHAPE,)


def milliseconds(content: bytes, core: Core) -> float:
    """Return what one picture costs on a core, on one thread.

    Args:
        content: A `.tflite` file.
        core: One of `CORES`.

    Raises:
        DataError: The file is damaged.
    """
    return sum(cycles(content, core).values()) / (core.gigahertz * 1e6)


def cycles(content: bytes, core: Core) -> dict[str, float]:
    """Return the cycles of each kind of work in a file, by the rate's name.

    Args:
        content: A `.tflite` file.
        core: One of `CORES`.
    """
    rates = _rates()[core.model]
    found: dict[str, float] = {}
    for kind, units in _work(parse(content), core):
        found[kind] = found.get(kind, 0.0) + units / rates[kind]
    return found


@cache
def _rates() -> dict[str, dict[str, float]]:
    text = Path(__file__).with_name("arm_rates.json").read_text(encoding="utf-8")
    rates: dict[str, dict[str, float]] = json.loads(text)["units_a_cycle"]
    return rates


def _work(file: TfliteFile, core: Core) -> list[tuple[str, float]]:
    """Return pairs of a rate's name and units of work."""
    binary = any(each.custom_name == "LceBconv2d" for each in file.operators)
    found: list[tuple[str, float]] = []
    for operator in file.operators:
        found += _of(operator, core, binary)
    return found


def _of(operator: Operator, core: Core, binary: bool) -> list[tuple[str, float]]:
    output = operator.outputs[0]
    values = float(prod(output.shape))
    real = output.dtype == "float32"
    if operator.custom_name == "LceBconv2d":
        return _binary_convolution(operator, real)
    if operator.custom_name == "LceQuantize":
        return [("packed_bits", float(prod(_shape(operator, 0))))]
    if operator.builtin in _FREE:
        return []
    if operator.builtin in (_CONV, _DEPTHWISE):
        depthwise = operator.builtin == _DEPTHWISE
        macs = values * prod(_shape(operator, 1)[1:3] if depthwise else _shape(operator, 1)[1:])
        if real:
            return [("float_depthwise_macs" if depthwise else "float_macs", macs)]
        return [
            ("int8_depthwise_macs" if depthwise else core.int8, macs),
            ("requantized_values", values),
        ]
    if real:
        return [("float_values", values)]
    if operator.builtin == _MAX_POOL:
        return [("int8_maxima", values)]
    if operator.builtin == _RESIZE_BILINEAR:
        return [("int8_bilinear_values", values)]
    if operator.builtin in _CHEAP:
        rescaled = operator.builtin in (_ADD, _MUL) and not binary
        return [("int8_rescaled_sums" if rescaled else "int8_sums", values)]
    return [("float_values", values)]


def _binary_convolution(operator: Operator, real: bool) -> list[tuple[str, float]]:
    """Count a binary convolution; the kernel works on whole words of 32 channels."""
    filters, height, width, words = _shape(operator, 1)
    shape = operator.outputs[0].shape
    positions = prod(shape[:-1])
    macs = float(positions * filters * height * width * words * 32)
    kind = "float_values" if real else "requantized_values"
    return [("binary_macs", macs), (kind, float(positions * filters))]


def _shape(operator: Operator, index: int) -> tuple[int, ...]:
    tensor = operator.inputs[index]
    assert tensor is not None
    return tensor.shape

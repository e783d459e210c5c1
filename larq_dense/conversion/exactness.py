"""Refuses what could make a sign depend on the machine: operations that IEEE 754 does not fix.

A processor may compute a reciprocal square root or an exponential a little differently from
another, and does. IEEE 754 fixes sums, products, comparisons and rounding; on the grid of
`models.exact` these do not even round, in whatever order. So between the input and the last sign
only operations that consist of those are allowed.
"""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from larq_dense.common.errors import ConversionError
from larq_dense.conversion.operators import operator_name
from larq_dense.runtime.tflite_file import TfliteFile

# What moves values, or chooses among them, besides sums and products. A mean comes before signs
# only: its division changes no sign.
_GRAPH = """
    Add AddN AddV2 BiasAdd Conv2D DepthwiseConv2dNative MatMul Mean Mul Neg Sub Sum
    Maximum MaxPool Minimum Relu Relu6 Round Sign
    Cast ConcatV2 DepthToSpace ExpandDims Identity IdentityN MirrorPad Pack Pad PadV2
    ResizeNearestNeighbor Reshape Shape Squeeze StopGradient StridedSlice Transpose Unpack
    Const NoOp Placeholder ReadVariableOp
"""
_FILE = """
    ADD ADD_N CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MEAN MUL NEG SUB SUM
    MAXIMUM MAX_POOL_2D MINIMUM RELU RELU6 RELU_N1_TO_1 ROUND SIGN
    CAST CONCATENATION DEPTH_TO_SPACE EXPAND_DIMS MIRROR_PAD PACK PAD PADV2
    RESIZE_NEAREST_NEIGHBOR RESHAPE SQUEEZE STRIDED_SLICE TRANSPOSE UNPACK
    LceBMaxPool2d LceBconv2d LceDequantize LceQuantize
"""
_FILE_SIGNS = ("LceQuantize", "LceBconv2d", "SIGN")

Operation = tuple[str, str]


def graph_operations(graph: tf.Graph) -> list[Operation]:
    """Return name and kind of all that a traced network computes up to its last sign."""
    found = _ancestors(
        [op for op in graph.get_operations() if op.type == "Sign"],
        lambda op: [tensor.op for tensor in op.inputs],
    )
    return [(op.name, op.type) for op in found]


def file_operations(file: TfliteFile) -> list[Operation]:
    """Return name and kind of all that a converted file computes up to its last sign."""
    makers = {id(tensor): op for op in file.operators for tensor in op.outputs}
    found = _ancestors(
        [op for op in file.operators if operator_name(op) in _FILE_SIGNS],
        lambda op: [makers[id(x)] for x in op.inputs if x is not None and id(x) in makers],
    )
    return [(op.outputs[0].name, operator_name(op)) for op in found]


def refuse_inexact_graph(graph: tf.Graph) -> None:
    """Check a traced network that promises exactness.

    Raises:
        ConversionError: An operation before the last sign is not on the list; it is named.
    """
    _refuse(graph_operations(graph), _GRAPH)


def refuse_inexact_file(file: TfliteFile) -> None:
    """Check a converted file of a network that promises exactness.

    Raises:
        ConversionError: An operation before the last sign is not on the list; it is named.
    """
    _refuse(file_operations(file), _FILE)


def _refuse(operations: Iterable[Operation], allowed: str) -> None:
    known = set(allowed.split())
    wrong = [(name, kind) for name, kind in operations if kind not in known]
    for name, kind in wrong[:1]:
        raise ConversionError(
            f"{len(wrong)} operations before the last sign may differ from processor to processor, "
            f"such as {kind} in {name}; compute them once, as constants, or take the layer out."
        )


def _ancestors(signs: list[Any], sources: Callable[[Any], list[Any]]) -> list[Any]:
    """Return what leads to `signs`, these included, each once."""
    found = {id(op): op for op in signs}
    pending = list(signs)
    while pending:
        for source in sources(pending.pop()):
            if id(source) not in found:
                found[id(source)] = source
                pending.append(source)
    return list(found.values())

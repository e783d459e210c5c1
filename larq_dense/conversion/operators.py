"""Names of a file's operations."""

import functools

from larq_dense.runtime.tflite_file import Operator


@functools.cache
def _builtin_names() -> dict[int, str]:
    from larq_compute_engine.mlir.python.tflite_schema import BuiltinOperator

    return {number: name for name, number in vars(BuiltinOperator).items() if name.isupper()}


def operator_name(operator: Operator) -> str:
    """Return an operation's name, such as `CONV_2D` or `LceBconv2d`."""
    return operator.custom_name or _builtin_names().get(operator.builtin, str(operator.builtin))

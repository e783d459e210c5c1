"""Memory that a converted network's tensors take."""

import numpy as np

from larq_dense.common.errors import DataError
from larq_dense.runtime.metadata import parse
from larq_dense.runtime.tflite_file import Tensor


def peak_bytes(content: bytes) -> int:
    """Return the peak memory of a `.tflite` file's tensors, in bytes.

    A computed tensor lives from the operator that writes it to the last one that reads it, in the
    file's order; this is the least that an interpreter's arena has to hold. Constants stay in the
    file and are not counted, nor is what an engine needs for itself.

    Args:
        content: The file.

    Raises:
        DataError: It is damaged.
    """
    file = parse(content, "the file")
    last = {id(tensor): len(file.operators) for tensor in file.outputs}
    for position, operator in reversed(list(enumerate(file.operators))):
        for tensor in operator.inputs:
            if tensor is not None and not len(tensor.content):
                last.setdefault(id(tensor), position)
    live = {id(tensor): _size(tensor) for tensor in file.inputs}
    peak = 0
    for position, operator in enumerate(file.operators):
        live |= {id(tensor): _size(tensor) for tensor in operator.outputs}
        peak = max(peak, sum(live.values()))
        live = {key: size for key, size in live.items() if last.get(key, -1) > position}
    return peak


def _size(tensor: Tensor) -> int:
    try:
        width = np.dtype(tensor.dtype).itemsize
    except TypeError as error:
        raise DataError(f"{tensor.name} is of a type without a known size.") from error
    return int(np.prod(tensor.shape, dtype=np.int64)) * width

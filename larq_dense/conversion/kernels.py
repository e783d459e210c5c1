"""Recognizes a binary kernel by its signs, whatever the converter made of it.

LCE negates an output channel whose batch normalization scales by a negative number where it
packs the output, and folding scales a float one. So a kernel's key is its shape and, for each
output channel, its signs relative to the channel's first weight.
"""

from typing import Any

import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from larq_dense.conversion.operators import operator_name
from larq_dense.runtime.tflite_file import Operator

Key = tuple[tuple[int, ...], bytes]

_FLOAT_OPERATIONS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
)

# With fewer weights in an output channel, equal magnitudes may be chance.
_MIN_WEIGHTS = 8


def layer_key(layer: Any) -> Key:
    """Return the key of a layer's quantized kernel.

    Args:
        layer: A Larq layer: a convolution, a transposed one or a dense layer.
    """
    values = np.asarray(layer.kernel_quantizer(tf.constant(layer.kernel.numpy())))
    # TFLite puts the output channels first; a transposed convolution of Keras has them last but
    # one, every other kernel last.
    outputs = -2 if "Transpose" in type(layer).__name__ else -1
    return _key(np.moveaxis(values, outputs, 0) < 0)


def packed_key(operator: Operator) -> Key | None:
    """Return the key of an `LceBconv2d`'s filter, or None for another operation.

    The filter is int32 `[out, height, width, ceil(in / 32)]`; bit i of a word is set where input
    channel i is negative.
    """
    if operator.custom_name != "LceBconv2d":
        return None
    source, words = operator.inputs[0], operator.inputs[1]
    if source is None or words is None or words.values is None:
        return None
    packed = words.values.astype("<u4").reshape(words.shape)[..., None]
    bits = np.unpackbits(packed.view(np.uint8), axis=-1, bitorder="little")
    bits = bits.reshape(*words.shape[:3], -1)[..., : _channels(operator, words.shape[3])]
    return _key(bits.astype(bool))


def float_key(operator: Operator) -> Key | None:
    """Return the key of a float operation whose filter is binary, else None.

    A filter is binary if in each output channel all magnitudes are equal, and not all signs.
    """
    if operator_name(operator) not in _FLOAT_OPERATIONS or len(operator.inputs) < 2:
        return None
    weights = operator.inputs[1]
    if weights is None or weights.dtype != "float32" or weights.values is None:
        return None
    values = weights.values
    if operator_name(operator) == "DEPTHWISE_CONV_2D":
        values = np.moveaxis(values, -1, 0)
    channels = np.abs(values).reshape(len(values), -1)
    equal = np.allclose(channels, channels[:, :1], rtol=1e-5, atol=0)
    if channels.shape[1] < _MIN_WEIGHTS or not equal or not channels.any():
        return None
    key = _key(values < 0)
    return key if any(key[1]) else None


def _channels(operator: Operator, words: int) -> int:
    """Return how many input channels a packed filter has; the rest of its bits is padding."""
    channels = int(flexbuffers.Loads(bytes(operator.options))["channels_in"])
    # With groups, `channels_in` counts all of them; LCE packs only groups that fill their words.
    return channels if -(-channels // 32) == words else 32 * words


def _key(negative: NDArray[np.bool_]) -> Key:
    flat = negative.reshape(len(negative), -1)
    relative = flat ^ flat[:, :1]
    return negative.shape, np.packbits(relative).tobytes()

"""Constants on a grid, so that a trained network gives the same bits on every machine.

A binary convolution is exact, but its neighbours are float32: a sum in another order differs in
the last bit, now and then that flips a sign near 0, and one flipped sign spreads over the picture.
Float32 adds and multiplies without rounding where few bits are in play, though. `snap` brings every
constant of a trained network to so few bits (Ours):

| value | multiple of |
| --- | --- |
| input of an ordinary convolution (`layers.FixedPoint`) | 2^-6; the picture 2^-8 |
| kernel of an ordinary convolution, normalization folded in | 2^-12; the stem 2^-10 |
| scale and offset after a binary convolution, thresholds | 2^-12 |
| coefficient of a branch (`layers.GatedMerge`) | 2^-6 |

All that a sign is taken of is then a multiple of 2^-18, exact while it and the partial sums that
lead to it stay below 2^6 = 64 in magnitude, as trained networks do by far. The exception is PReLU,
whose slopes are left as they are.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.layers import BinaryAttention, FixedPoint, ParallelConv2D, Threshold

Floats = NDArray[np.float64]

# Multiples of 2^-18 in all: fraction bits of a product's two factors together.
PRODUCT_BITS = 18
CONSTANT_BITS = 12


def snap(model: tf.keras.Model) -> None:
    """Round a trained model's constants in place, as this module says.

    Normalizations keep statistics close to their own, so that the model can be trained further.
    Only `layers` and what `models.blocks` builds are treated; the last convolution, of which no
    sign is taken, stays. A model without `layers.FixedPoint` is left alone.

    Args:
        model: From `models.build`.
    """
    if not any(isinstance(layer, FixedPoint) for layer in model.layers):
        return
    for convolution, norm, bits in _normalized_convolutions(model):
        _snap_real(convolution.kernel, norm, bits)
    for norm in _norms_of_binary(model):
        _snap_after_binary(norm)
    for variable in _short_as_they_are(model):
        variable.assign(_grid(variable.numpy(), CONSTANT_BITS))


def _normalized_convolutions(
    model: tf.keras.Model,
) -> Iterator[tuple[tf.keras.layers.Conv2D, tf.keras.layers.BatchNormalization, int]]:
    """Yield ordinary convolutions, with what normalizes them and their kernel's bits."""
    layers = {layer.name: layer for layer in model.layers}
    for name, layer in layers.items():
        norm = layers.get(name.removesuffix("_conv") + "_norm")
        if isinstance(layer, tf.keras.layers.Conv2D) and norm is not None:
            source = layer.input.node.layer
            on_grid = isinstance(source, FixedPoint)
            yield layer, norm, PRODUCT_BITS - source.fraction_bits if on_grid else CONSTANT_BITS


def _short_as_they_are(model: tf.keras.Model) -> Iterator[tf.Variable]:
    """Yield what is rounded without regard to a normalization."""
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
            yield layer.depthwise_kernel
        elif isinstance(layer, Threshold):
            yield layer.tau


def _norms_of_binary(model: tf.keras.Model) -> Iterator[tf.keras.layers.BatchNormalization]:
    for layer in model.submodules:
        if isinstance(layer, ParallelConv2D):
            yield from layer.norms
        elif isinstance(layer, BinaryAttention):
            yield from layer.norms.values()


def _grid(values: NDArray[np.floating], bits: int) -> Floats:
    return np.round(np.asarray(values, np.float64) * 2.0**bits) / 2.0**bits


def _power_of_two(values: Floats) -> Floats:
    """Return the nearest powers of two, by ratio, kept within 2^-8 and 2^8."""
    return 2.0 ** np.clip(np.round(np.log2(np.maximum(np.abs(values), 1e-12))), -8, 8)


def _read(norm: tf.keras.layers.BatchNormalization) -> list[Floats]:
    variables = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    return [variable.numpy().astype(np.float64) for variable in variables]


def _snap_after_binary(norm: tf.keras.layers.BatchNormalization) -> None:
    """Round `scale · (n - mean) + offset`, n an integer."""
    gamma, beta, mean, variance = _read(norm)
    deviation = np.sqrt(variance + norm.epsilon)
    scale = _grid(gamma / deviation, CONSTANT_BITS)
    whole = np.round(mean)
    offset = _grid(beta + scale * (whole - mean), CONSTANT_BITS)
    _write(norm, scale, offset, whole, _power_of_two(deviation))


def _snap_real(kernel: tf.Variable, norm: tf.keras.layers.BatchNormalization, bits: int) -> None:
    """Round the product of kernel and scale; the scale itself becomes a power of two."""
    gamma, beta, mean, variance = _read(norm)
    deviation = np.sqrt(variance + norm.epsilon)
    scale = gamma / deviation
    short = _power_of_two(scale)
    kernel.assign(_grid(kernel.numpy() * scale, bits) / short)
    shift = _grid(mean * scale, CONSTANT_BITS)
    offset = _grid(beta + shift - mean * scale, CONSTANT_BITS)
    # The kernel took over the difference between the scales, and so did what it sums to.
    _write(norm, short, offset, shift / short, _power_of_two(deviation * np.abs(scale) / short))


def _write(
    norm: tf.keras.layers.BatchNormalization,
    scale: Floats,
    offset: Floats,
    mean: Floats,
    deviation: Floats,
) -> None:
    """Write a normalization whose standard deviation is a power of two to the last bit."""
    epsilon = np.float32(norm.epsilon)
    variance = np.square(deviation).astype(np.float32) - epsilon
    variance += np.square(deviation).astype(np.float32) - (variance + epsilon)
    norm.gamma.assign(scale * deviation)
    norm.beta.assign(offset)
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)

"""The same operators in forms that XLA compiles well for a GPU."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from larq_dense.common.keras2 import tf

_CONVOLUTIONS = importlib.import_module(tf.keras.layers.Conv2D.__mro__[1].__module__)
_BACKEND = importlib.import_module(_CONVOLUTIONS.__name__.split(".layers.")[0] + ".backend")
_convolution = tf.nn.convolution
_depthwise_conv2d = tf.nn.depthwise_conv2d
_resize_images = _BACKEND.resize_images


@contextmanager
def friendly_operators() -> Iterator[None]:
    """Replace what Keras' layers call while a model is traced.

    Only shapes that are known are replaced: a model of any size is built as ever, and traced again
    for the size that it is called with.
    """
    with (
        patch.object(_CONVOLUTIONS.tf.nn, "convolution", convolution),
        patch.object(_BACKEND.tf.nn, "depthwise_conv2d", depthwise_conv2d),
        patch.object(_BACKEND, "resize_images", resize_images),
        patch.object(tf.keras.backend, "resize_images", resize_images),
    ):
        yield


def convolution(x: tf.Tensor, kernel: tf.Tensor, **settings: Any) -> tf.Tensor:
    """Convolve in bfloat16, which holds signs exactly, on units that sum in float32."""
    y = _convolution(tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16), **settings)
    return tf.cast(y, tf.float32)


def depthwise_conv2d(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str, **settings: Any
) -> tf.Tensor:
    """Sum shifted products, which are fused into one pass; a grouped convolution is slow."""
    if None in x.shape[1:3]:
        return _depthwise_conv2d(x, kernel, strides, padding, **settings)
    rows, columns, _, _ = kernel.shape
    step = strides[1]
    x, (height, width) = _padded(x, (rows, columns), step, padding)
    return tf.add_n(
        [
            x[:, i : i + (height - 1) * step + 1 : step, j : j + (width - 1) * step + 1 : step]
            * kernel[i, j, :, 0]
            for i in range(rows)
            for j in range(columns)
        ]
    )


def _padded(
    x: tf.Tensor, window: tuple[int, int], step: int, padding: str
) -> tuple[tf.Tensor, tuple[int, int]]:
    """Return a padded map, and the size of what a window that steps over it gives."""
    sizes = x.shape[1:3]
    if padding == "VALID":
        height, width = ((n - k) // step + 1 for n, k in zip(sizes, window, strict=True))
        return x, (height, width)
    height, width = (-(-n // step) for n in sizes)
    missing = [
        max((count - 1) * step + k - n, 0)
        for count, k, n in zip((height, width), window, sizes, strict=True)
    ]
    sides = [[total // 2, total - total // 2] for total in missing]
    return tf.pad(x, [[0, 0], *sides, [0, 0]]), (height, width)


def resize_images(
    x: tf.Tensor,
    height_factor: int,
    width_factor: int,
    data_format: str,
    interpolation: str = "nearest",
) -> tf.Tensor:
    """Upsample by repetition, or to twice the size by fixed weights, without gather and scatter."""
    if None in x.shape.as_list():
        return _resize_images(x, height_factor, width_factor, data_format, interpolation)
    if interpolation == "bilinear":
        assert height_factor == width_factor == 2
        return _doubled(_doubled(x, 1), 2)
    batch, height, width, channels = x.shape
    repeated = tf.broadcast_to(
        x[:, :, None, :, None], [batch, height, height_factor, width, width_factor, channels]
    )
    return tf.reshape(repeated, [batch, height * height_factor, width * width_factor, channels])


def _doubled(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Interpolate linearly at a quarter before and behind each pixel, edges repeated."""
    length = x.shape[axis]
    first, behind = tf.split(x, [1, length - 1], axis)
    before, last = tf.split(x, [length - 1, 1], axis)
    left = 0.25 * tf.concat([first, before], axis) + 0.75 * x
    right = 0.75 * x + 0.25 * tf.concat([behind, last], axis)
    shape = x.shape.as_list()
    shape[axis] *= 2
    return tf.reshape(tf.stack([left, right], axis + 1), shape)

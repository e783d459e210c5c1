"""What the layers compute, in plain NumPy."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sign(x: Array) -> Array:
    return np.where(x >= 0, 1.0, -1.0)


def conv2d(x: Array, kernel: Array, stride: int = 1, pad_value: float = 0.0) -> Array:
    """Correlate `[b, h, w, c]` with `[k, k, c, o]`, padded as TensorFlow's SAME."""
    size = kernel.shape[0]
    rows, columns = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    pads = []
    for side, count in zip(x.shape[1:3], (rows, columns), strict=True):
        total = max((count - 1) * stride + size - side, 0)
        pads.append((total // 2, total - total // 2))
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=pad_value)
    out = np.zeros((x.shape[0], rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.tensordot(window, kernel, axes=([1, 2, 3], [0, 1, 2]))
    return out


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def depth_to_space(x: Array, factor: int) -> Array:
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // factor**2)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))

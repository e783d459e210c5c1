"""What LCE's operators mean, written down once more from their definition, in plain NumPy.

Shares no code with the runtime: signs are floats, padding is made by hand, sums are integers.
"""

from __future__ import annotations

import numpy as np

LIMITS = {"NONE": None, "RELU": (0, None), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}


def signs(x: np.ndarray, zero_point: int = 0) -> np.ndarray:
    if x.dtype == np.bool_:
        return np.where(x, 1, -1)
    return np.where(x < zero_point, -1, 1)


def dot_products(
    x: np.ndarray,
    filters: np.ndarray,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: str,
    pad_value: int,
) -> np.ndarray:
    """`x` is `[batch, height, width, in]` and `filters` `[out, height, width, in / groups]`."""
    out_channels, kh, kw, group_in = filters.shape
    groups = x.shape[3] // group_in
    sizes, pads = [], []
    for size, k, stride, dilation in zip(x.shape[1:3], (kh, kw), strides, dilations, strict=True):
        reach = (k - 1) * dilation + 1
        if padding == "SAME":
            out = -(-size // stride)
            total = max((out - 1) * stride + reach - size, 0)
            pads.append((total // 2, total - total // 2))
        else:
            out = (size - reach) // stride + 1
            pads.append((0, 0))
        sizes.append(out)
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=pad_value)
    result = np.zeros((x.shape[0], *sizes, out_channels), np.int64)
    per_group = out_channels // groups
    for ky in range(kh):
        for kx in range(kw):
            top, left = ky * dilations[0], kx * dilations[1]
            window = x[
                :,
                top : top + (sizes[0] - 1) * strides[0] + 1 : strides[0],
                left : left + (sizes[1] - 1) * strides[1] + 1 : strides[1],
            ]
            for g in range(groups):
                outs = slice(g * per_group, (g + 1) * per_group)
                ins = slice(g * group_in, (g + 1) * group_in)
                result[..., outs] += window[..., ins] @ filters[outs, ky, kx].T
    return result


def activate(dot: np.ndarray, activation: str) -> np.ndarray:
    limits = LIMITS[activation]
    return dot if limits is None else np.clip(dot, *limits)


def affine(dot: np.ndarray, multiplier: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One rounding for the product and one for the sum, in float32."""
    return dot.astype(np.float32) * multiplier.astype(np.float32) + bias.astype(np.float32)

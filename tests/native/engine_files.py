"""Small `.tflite` files that hold, between them, every operator that the engine runs.

python tests/native/engine_files.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lce_graph
import numpy as np

RANGE: dict[str, Any] = {"scale": 0.5, "zero_point": 3}
MASK: dict[str, Any] = {"scale": 2.0**-6, "zero_point": 0}


class Net:
    """An int8 graph under construction; it begins with a picture of three channels."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.graph = lce_graph.Graph()
        self.picture = self.graph.input((1, 4, 6, 3), np.int8, **RANGE)

    def builtin(self, name: str, inputs: list[int], *shape: int, **options: Any) -> int:
        return self.graph.builtin(name, inputs, shape, np.int8, **{**RANGE, **options})

    def ints(self, *values: int) -> int:
        return self.graph.constant(np.asarray(values, np.int32))

    def conv2d(self, x: int, channels: int, depthwise: bool = False) -> int:
        n, h, w, depth = self.graph.shape(x)
        shape = (1, 3, 3, depth) if depthwise else (channels, 3, 3, depth)
        weights = 4 * self.rng.integers(-20, 21, shape)
        filters = self.graph.constant(
            weights.astype(np.int8), scale=[2.0**-9] * channels, dimension=3 if depthwise else 0
        )
        bias = self.graph.constant(np.full(channels, 2, np.int32), scale=[2.0**-10] * channels)
        output = self.graph.tensor((n, h, w, channels), np.int8, **RANGE)
        return self.graph.convolution([x, filters, bias], output, 1, depthwise=depthwise)

    def conv(self, bits: int, depth: int, channels: int) -> int:
        return self.graph.conv(
            bits,
            depth,
            self.rng.choice([-1, 1], (channels, 3, 3, depth)),
            out="int8",
            multiplier=self.rng.normal(size=channels),
            bias=self.rng.normal(size=channels),
            **RANGE,
        )

    def add(self, x: int, y: int) -> int:
        return self.builtin("ADD", [x, y], *self.graph.shape(x), fusedActivationFunction=0)


def encoder() -> bytes:
    """Stem, pooling, a residual block with a threshold, bits pooled and upsampled output."""
    net = Net()
    graph = net.graph
    x = net.conv2d(net.conv2d(net.picture, 32), 32, depthwise=True)
    window = {"filterHeight": 3, "filterWidth": 3, "strideH": 2, "strideW": 2}
    x = net.builtin("MAX_POOL_2D", [x], 1, 2, 3, 32, **window)
    threshold = graph.constant(net.rng.integers(-9, 9, 32).astype(np.int8), **RANGE)
    x = net.add(net.conv(graph.quantize(net.add(x, threshold)), 32, 32), x)
    bits = graph.max_pool(graph.quantize(x), (2, 2), (1, 1))
    x = net.builtin("RELU", [net.conv(bits, 32, 8)], 1, 2, 3, 8)
    large = net.builtin("RESIZE_BILINEAR", [x, net.ints(4, 6)], 1, 4, 6, 8, halfPixelCenters=True)
    return graph.build(large)


def decoder() -> bytes:
    """Branches joined, attention by a mean and a mask, depth to space, nearest neighbour."""
    net = Net()
    graph = net.graph
    x = net.conv2d(net.picture, 32)
    parts = [net.conv(graph.quantize(x), 32, 32) for _ in range(2)]
    joined = net.builtin("CONCATENATION", parts, 1, 4, 6, 64, axis=3)
    mean = net.builtin("MEAN", [joined, net.ints(1, 2)], 1, 1, 1, 64, keepDims=True, scale=2.0**-6)
    mask = graph.dequantize(graph.quantize(mean), 64, np.int8, **MASK)
    mask = net.builtin("RELU", [mask], 1, 1, 1, 64, **MASK)
    x = net.builtin("MUL", [joined, mask], 1, 4, 6, 64, fusedActivationFunction=0)
    up = net.builtin("DEPTH_TO_SPACE", [x], 1, 8, 12, 16, blockSize=2)
    wide = net.builtin(
        "RESIZE_NEAREST_NEIGHBOR",
        [net.conv(graph.quantize(x), 64, 16), net.ints(8, 12)],
        *(1, 8, 12, 16),
        halfPixelCenters=True,
    )
    return graph.build(net.builtin("RELU6", [net.add(up, wide)], 1, 8, 12, 16))


def write(folder: Path) -> list[Path]:
    """Write the files and return them."""
    paths = []
    for make in (encoder, decoder):
        path = folder / f"{make.__name__}.tflite"
        path.write_bytes(make())
        paths.append(path)
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]))

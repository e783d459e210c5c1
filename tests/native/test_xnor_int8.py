"""Networks of int8 tensors, fused and not, against LCE's own interpreter, bit for bit."""

from __future__ import annotations

import os
from typing import Any

import lce_graph
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from larq_dense.runtime import xnor
from larq_dense.runtime.engine import Engine, UnsupportedError

if not xnor.available():
    pytest.skip(str(xnor.why_unavailable()), allow_module_level=True)
pytest.importorskip("flatbuffers")
lce = pytest.importorskip("larq_compute_engine")

SETTINGS = settings(
    max_examples=int(os.environ.get("LARQ_DENSE_XNOR_CASES", "150")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# Steps and zero points, the outermost among them, where a sign can only be one.
RANGES = st.tuples(
    st.sampled_from([0.25, 0.5, 0.3]), st.sampled_from([-128, -127, -60, 0, 7, 126, 127])
)
STEPS = ["conv", "residual", "thresholds", "thresholds", "constant", "add", "clamp", "mask"]
STEPS += ["branches", "attention", "d2s", "nearest", "concat", "conv2d", "conv2d"]
MASK = {"scale": 2.0**-6, "zero_point": 0}


class Net:
    """A graph whose int8 tensors share one range, but for masks and means."""

    def __init__(self, seed: int, scale: float, zero_point: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = lce_graph.Graph()
        self.range: dict[str, Any] = {"scale": scale, "zero_point": zero_point}
        self.inputs: list[np.ndarray] = []

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.graph.shape(tensor)

    def values(self, *shape: int) -> np.ndarray:
        """Return values mostly around the zero point, some at the ends of the range."""
        near = self.rng.normal(self.range["zero_point"], 40, shape).round()
        ends = self.rng.choice([-128, 127], shape)
        chosen = np.where(self.rng.random(shape) < 0.05, ends, near)
        return chosen.clip(-128, 127).astype(np.int8)

    def input(self, *shape: int) -> int:
        self.inputs.append(self.values(*shape))
        return self.graph.input(shape, np.int8, **self.range)

    def builtin(self, name: str, inputs: list[int], *shape: int, **options: Any) -> int:
        return self.graph.builtin(name, inputs, shape, np.int8, **{**self.range, **options})

    def constant(self, channels: int, kind: str) -> int:
        shape = {"vector": (channels,), "4d": (1, 1, 1, channels), "scalar": (1,)}[kind]
        return self.graph.constant(self.values(*shape), **self.range)

    def add(self, x: int, y: int, activation: str = "NONE") -> int:
        code = lce_graph.ACTIVATIONS[activation]
        return self.builtin("ADD", [x, y], *self.shape(x), fusedActivationFunction=code)

    def clamp(self, name: str, x: int) -> int:
        return self.builtin(name, [x], *self.shape(x))

    def conv(self, x: int, channels: int, kernel: int, activation: str = "NONE") -> int:
        depth = self.shape(x)[-1]
        signs = self.rng.choice([-1, 1], (channels, kernel, kernel, depth))
        # Sums of bits spread over the range and somewhat beyond.
        spread = 60 * self.range["scale"] / np.sqrt(signs[0].size)
        return self.graph.conv(
            self.graph.quantize(x),
            depth,
            signs,
            out="int8",
            multiplier=self.rng.normal(size=channels) * spread,
            bias=self.rng.normal(size=channels) * 20 * self.range["scale"],
            pad_values=1 if depth % 2 else int(self.rng.integers(2)),  # LCE's own limit
            activation=activation,
            **self.range,
        )

    def conv2d(
        self, x: int, channels: int, kernel: int, stride: int = 1, groups: int = 1, **options: Any
    ) -> int:
        """Add an ordinary convolution that rounds alike in every kernel, by powers of two."""
        n, h, w, depth = self.shape(x)
        depth //= groups
        depthwise = options.get("depthwise", False)
        if depthwise:
            channels = depth
        # Of a depthwise one at most 255 / 4 in every of nine taps, which keeps to 16 bits.
        most = 28 if depthwise else 31
        shape = (1, kernel, kernel, depth) if depthwise else (channels, kernel, kernel, depth)
        weights = 4 * self.rng.integers(-most, most + 1, shape)
        bias = 4 * self.rng.integers(-500, 500, channels) + 2
        # Sums spread over the range and somewhat beyond.
        size = 70 * 40 * np.sqrt(weights.size / channels) / 60
        scales = 2.0 ** -(self.rng.integers(0, 2, channels) + np.ceil(np.log2(size)))
        one = self.range["scale"]
        filters = self.graph.constant(
            weights.astype(np.int8), scale=scales.tolist(), dimension=3 if depthwise else 0
        )
        biases = self.graph.constant(bias.astype(np.int32), scale=(one * scales).tolist())
        if options.get("padding") == "VALID":
            h, w = h - kernel + 1, w - kernel + 1
        shape = (n, -(-h // stride), -(-w // stride), channels)
        output = self.graph.tensor(shape, np.int8, **self.range)
        return self.graph.convolution([x, filters, biases], output, stride, **options)

    def depth_to_space(self, x: int, block: int) -> int:
        n, h, w, c = self.shape(x)
        shape = (n, h * block, w * block, c // block**2)
        return self.builtin("DEPTH_TO_SPACE", [x], *shape, blockSize=block)

    def nearest(self, x: int, factor: int) -> int:
        n, h, w, c = self.shape(x)
        size = self.graph.constant(np.asarray([h * factor, w * factor], np.int32))
        shape = (n, h * factor, w * factor, c)
        return self.builtin("RESIZE_NEAREST_NEIGHBOR", [x, size], *shape, halfPixelCenters=True)

    def max_pool(
        self, x: int, window: tuple[int, int, int, int], padding: str, activation: str
    ) -> int | None:
        """Add a pooling by a window (height, width) and its strides, if it fits."""
        n, h, w, c = self.shape(x)
        kernel, stride = np.asarray(window[:2]), np.asarray(window[2:])
        reach = 1 if padding == "SAME" else kernel
        height, width = (np.asarray([h, w]) - reach) // stride + 1
        if min(height, width) < 1:
            return None
        return self.builtin(
            "MAX_POOL_2D",
            [x],
            *(n, int(height), int(width), c),
            padding=["SAME", "VALID"].index(padding),
            filterHeight=window[0],
            filterWidth=window[1],
            strideH=window[2],
            strideW=window[3],
            fusedActivationFunction=lce_graph.ACTIVATIONS[activation],
        )

    def concat(self, parts: list[int]) -> int:
        channels = sum(self.shape(x)[-1] for x in parts)
        return self.builtin("CONCATENATION", parts, *self.shape(parts[0])[:3], channels, axis=3)

    def mean(self, x: int, scale: float, zero_point: int) -> int:
        n, _, _, c = self.shape(x)
        axes = self.graph.constant(np.asarray([1, 2], np.int32))
        shape = (n, 1, 1, c)
        return self.builtin(
            "MEAN", [x, axes], *shape, keepDims=True, scale=scale, zero_point=zero_point
        )

    def masked(self, x: int, *shape: int) -> int:
        """`x` times 0 or 1, as attention makes them."""
        signs = self.graph.quantize(self.input(*shape))
        mask = self.graph.dequantize(signs, shape[-1], np.int8, **MASK)
        mask = self.builtin("RELU", [mask], *shape, **MASK)
        return self.builtin("MUL", [x, mask], *self.shape(x))

    def check(
        self, outputs: list[int], fuse: tuple[bool, ...], threads: int = 1, *, whole: bool = True
    ) -> None:
        """Compare with LCE's interpreter; `whole`: the engine knows all operators."""
        model = self.graph.build(*outputs)
        reference = lce.tflite.python.interpreter.Interpreter(model, use_reference_bconv=True)
        expected = reference.interpreter.predict(self.inputs)
        for name in xnor.instruction_sets():
            for fused in fuse:
                interpreter = xnor.load(model, threads, instruction_set=name, fuse=fused)
                given_inputs = zip(interpreter.get_input_details(), self.inputs, strict=True)
                for detail, x in given_inputs:
                    interpreter.set_tensor(detail["index"], x)
                interpreter.invoke()
                details = interpreter.get_output_details()
                for detail, want in zip(details, expected, strict=True):
                    np.testing.assert_array_equal(
                        interpreter.get_tensor(detail["index"]), want, f"{name}, fuse={fused}"
                    )
            if not whole:
                with pytest.raises(UnsupportedError):
                    Engine(model, threads, instruction_set=name)
                continue
            for got, want in zip(
                Engine(model, threads, instruction_set=name).run(self.inputs), expected, strict=True
            ):
                np.testing.assert_array_equal(got, want, f"{name}, engine")


@st.composite
def nets(draw: st.DrawFn) -> tuple[Net, list[int]]:
    net = Net(draw(st.integers(0, 2**32 - 1)), *draw(RANGES))
    size = draw(st.tuples(st.integers(1, 7), st.integers(1, 9)))
    widths = st.sampled_from([8, 20, 32, 64, 96])
    tensors = [net.input(draw(st.integers(1, 2)), *size, draw(widths))]
    kinds = st.sampled_from(["vector", "4d", "scalar"])
    activations = st.sampled_from(["NONE", "NONE", "RELU", "RELU6"])
    for _ in range(draw(st.integers(2, 12))):
        x = tensors[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(tensors))
        n, h, w, c = net.shape(x)
        alike = st.sampled_from([y for y in tensors if net.shape(y) == net.shape(x)])
        step = draw(st.sampled_from(STEPS))
        if step == "residual":
            new = net.add(net.conv(x, c, 3), draw(alike), draw(activations))
        elif step == "thresholds":
            count = draw(st.integers(1, 5))
            branches = [
                net.conv(net.add(x, net.constant(c, draw(kinds))), c, 1) for _ in range(count)
            ]
            new = branches[0]
            for branch in branches[1:]:
                new = net.add(new, branch)
        elif step == "constant":
            new = net.add(x, net.constant(c, draw(kinds)), draw(activations))
        elif step == "add":
            new = net.add(x, draw(alike), draw(activations))
        elif step == "clamp":
            new = net.clamp(draw(st.sampled_from(["RELU", "RELU6"])), x)
        elif step == "mask":
            new = net.masked(x, *draw(st.sampled_from([(n, h, w, 1), (1, 1, 1, c), (n, h, w, c)])))
        elif step == "branches" and h * w < 80:
            # The decoder's stage: branches, their sum at twice the size, lateral, shortcut.
            up = net.add(net.add(net.conv(x, 128, 3), net.conv(x, 128, 3)), net.conv(x, 128, 3))
            up = net.add(net.depth_to_space(up, 2), net.input(n, 2 * h, 2 * w, 32))
            new = net.add(up, net.nearest(net.conv(x, 32, 1), 2))
        elif step == "conv2d" and net.range["scale"] != 0.3:
            new = net.conv2d(x, draw(st.integers(1, 80)), draw(st.sampled_from([1, 2, 3])))
        elif step == "attention":
            # Of branches that stay apart, each of which packs its own part of the bits.
            count = draw(st.integers(1, 3))
            parts = [net.conv(x, width, 1) for width in (32, 64, 32)[:count] * 2]
            joined = net.concat(parts)
            new = net.add(parts[0], net.conv(joined, 32, draw(st.sampled_from([1, 3]))))
            for _ in range(draw(st.integers(0, 4))):
                new = net.add(new, net.conv(joined, 32, 1))
        elif step == "d2s" and c % 4 == 0 and h * w < 80:
            new = net.depth_to_space(x, 2)
        elif step == "nearest" and h * w < 80:
            new = net.nearest(x, draw(st.integers(2, 3)))
        elif step == "concat":
            # Mostly of parts that fill whole words, which then never come together.
            joined = net.concat([net.conv(x, draw(st.sampled_from([32, 64, 40])), 1), x])
            new = net.conv(joined, draw(widths), draw(st.sampled_from([1, 3])))
        else:
            new = net.conv(x, draw(widths), draw(st.sampled_from([1, 3])), draw(activations))
        tensors.append(new)
    others = st.lists(st.sampled_from(tensors[1:]), max_size=2, unique=True)
    return net, list(dict.fromkeys([tensors[-1], *draw(others)]))


@SETTINGS
@given(nets(), st.integers(1, 3))
def test_int8_graphs_give_what_lce_gives(case: tuple[Net, list[int]], threads: int) -> None:
    net, outputs = case
    net.check(outputs, (True, False), threads)


@SETTINGS
@given(
    st.integers(0, 2**32 - 1),
    RANGES,
    st.tuples(st.integers(1, 2), st.integers(1, 30), st.integers(1, 30)),
    st.sampled_from([0.51, 0.7, 1.0, 3.3, 64.0, 2.0**12]),
    st.integers(-128, 127),
)
def test_means_give_what_lce_gives(
    seed: int,
    given_range: tuple[float, int],
    size: tuple[int, int, int],
    steps: float,
    zero_point: int,
) -> None:
    """As attention takes them: over branches that stay apart, a step of the sum being `steps`."""
    net = Net(seed, *given_range)
    x = net.input(*size, 32)
    parts = [net.conv(x, channels, 1) for channels in (32, 64)]
    scale = given_range[0] / (size[1] * size[2] * steps)
    mean = net.mean(net.concat(parts), scale, zero_point)
    # Not fused it is XNNPACK's, which rounds in its own way.
    net.check([mean, net.conv(mean, 16, 1)], (True,))


@SETTINGS
@given(
    st.integers(0, 2**32 - 1),
    RANGES,
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 40),
    st.integers(1, 3),
)
def test_enlarging_gives_what_lce_gives(
    seed: int,
    given_range: tuple[float, int],
    size: tuple[int, int, int],
    channels: int,
    threads: int,
) -> None:
    net = Net(seed, *given_range)
    x = net.conv(net.input(*size, 32), channels, 1)
    n, h, w, c = net.shape(x)
    target = net.graph.constant(np.asarray([2 * h, 2 * w], np.int32))
    shape = (n, 2 * h, 2 * w, c)
    large = net.builtin("RESIZE_BILINEAR", [x, target], *shape, halfPixelCenters=True)
    # Not fused it is XNNPACK's, which rounds halves up.
    net.check([large], (True,), threads)


@SETTINGS
@given(
    st.integers(0, 2**32 - 1),
    RANGES,
    st.tuples(st.integers(1, 2), st.integers(3, 9), st.integers(3, 9), st.integers(1, 70)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["SAME", "VALID"]),
    st.sampled_from(["NONE", "RELU", "RELU6"]),
    st.integers(1, 3),
)
def test_max_pooling_gives_what_lce_gives(
    seed: int,
    given_range: tuple[float, int],
    size: tuple[int, int, int, int],
    window: tuple[int, int, int, int],
    padding: str,
    activation: str,
    threads: int,
) -> None:
    net = Net(seed, *given_range)
    x = net.input(*size)
    pooled = net.max_pool(x, window, padding, activation)
    if pooled is None:
        return  # a window that does not fit
    net.check([pooled, net.conv(pooled, 16, 1)], (True, False), threads)


@SETTINGS
@given(
    st.integers(0, 2**32 - 1),
    RANGES.filter(lambda drawn: drawn[0] != 0.3),
    st.tuples(st.integers(1, 2), st.integers(3, 9), st.integers(3, 9), st.integers(1, 70)),
    st.tuples(st.integers(1, 80), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["SAME", "VALID"]),
    st.sampled_from(["NONE", "RELU", "RELU6"]),
    st.booleans(),
    st.integers(1, 3),
)
def test_ordinary_convolutions_give_what_lce_gives(
    seed: int,
    given_range: tuple[float, int],
    size: tuple[int, int, int, int],
    filters: tuple[int, int, int],
    padding: str,
    activation: str,
    depthwise: bool,
    threads: int,
) -> None:
    net = Net(seed, *given_range)
    options = {"padding": padding, "activation": activation, "depthwise": depthwise}
    x = net.conv2d(net.input(*size), *filters, **options)
    net.check([x, net.conv(x, 16, 1)], (True, False), threads)


def test_what_needs_rounding_stays_with_the_interpreter() -> None:
    net = Net(0, 0.5, 3)
    x = net.conv(net.input(1, 4, 5, 32), 32, 3)
    # Finer steps, so that nothing is rounded there either and kernels of all kinds agree.
    finer = {"scale": 0.25, "zero_point": 3}
    other = net.graph.input((1, 4, 5, 32), np.int8, **finer)
    net.inputs.append(net.values(1, 4, 5, 32))
    sums = net.builtin("ADD", [x, other], 1, 4, 5, 32, **finer)
    for shape, scale in (((1, 4, 5, 1), 2.0**-8), ((1, 1, 1, 32), 2.0**-14)):
        fractions = net.graph.input(shape, np.int8, **MASK)
        net.inputs.append(net.rng.integers(0, 128, shape).astype(np.int8))
        sums = net.builtin("MUL", [sums, fractions], 1, 4, 5, 32, scale=scale, zero_point=0)
    net.check([sums, net.conv(sums, 8, 1)], (True, False), whole=False)


def test_groups_of_an_ordinary_convolution_stay_with_the_interpreter() -> None:
    net = Net(0, 0.5, 3)
    x = net.conv2d(net.input(1, 5, 6, 8), 16, 3, groups=2)
    net.check([x, net.conv(x, 8, 1)], (True, False), whole=False)

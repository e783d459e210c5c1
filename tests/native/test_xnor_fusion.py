"""What is fused must give what the operators give one by one.

Graphs are put together at random; every number in them is a small dyadic fraction, so that float32
arithmetic is exact in any order and results can be compared bit for bit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from larq_dense.runtime import xnor

if not xnor.available():
    pytest.skip(str(xnor.why_unavailable()), allow_module_level=True)
pytest.importorskip("flatbuffers")

import lce_graph
import oracle

CASES = int(os.environ.get("LARQ_DENSE_XNOR_CASES", "250"))


def dyadic(rng: np.random.Generator, *shape: int, span: int = 64) -> np.ndarray:
    return (rng.integers(-span, span + 1, shape) / 16).astype(np.float32)


@dataclass
class Net:
    """A graph, and what each of its tensors holds."""

    rng: np.random.Generator
    graph: lce_graph.Graph = field(default_factory=lce_graph.Graph)
    values: dict[int, np.ndarray] = field(default_factory=dict)

    def input(self, shape: tuple[int, ...]) -> int:
        tensor = self.graph.input(shape)
        self.values[tensor] = dyadic(self.rng, *shape)
        return tensor

    def _builtin(self, name: str, inputs: list[int], value: np.ndarray, **options: int) -> int:
        tensor = self.graph.builtin(name, inputs, value.shape, **options)
        self.values[tensor] = value
        return tensor

    def constant(self, channels: int, kind: str, name: str) -> tuple[int, np.ndarray]:
        shape = {"vector": (channels,), "4d": (1, 1, 1, channels), "scalar": (1,)}[kind]
        data = dyadic(self.rng, *shape)
        if name == "MUL":
            data = (2.0 ** self.rng.integers(-2, 3, shape)).astype(np.float32)
            data *= self.rng.choice([-1, 1], shape)
        return self.graph.constant(data), data

    def binary(self, name: str, first: int, second: int, activation: str = "NONE") -> int:
        x, y = self.values[first], self.values[second]
        value = oracle.activate(x + y if name == "ADD" else x * y, activation)
        return self._builtin(
            name,
            [first, second],
            value.astype(np.float32),
            fusedActivationFunction=lce_graph.ACTIVATIONS[activation],
        )

    def with_constant(
        self, name: str, x: int, kind: str, swapped: bool, activation: str = "NONE"
    ) -> int:
        constant, data = self.constant(self.values[x].shape[-1], kind, name)
        value = self.values[x] + data if name == "ADD" else self.values[x] * data
        return self._builtin(
            name,
            [constant, x] if swapped else [x, constant],
            oracle.activate(value, activation).astype(np.float32),
            fusedActivationFunction=lce_graph.ACTIVATIONS[activation],
        )

    def clamp(self, name: str, x: int) -> int:
        value = oracle.activate(self.values[x], name).astype(np.float32)
        return self._builtin(name, [x], value)

    def grid(self, x: int, bits: int) -> int:
        """Round to multiples of 2^-bits, by the operators that `FixedPoint` becomes."""
        up, down = (self.graph.constant(np.float32(2.0**b).reshape(1)) for b in (bits, -bits))
        value = self.values[x] * np.float32(2.0**bits)
        x = self._builtin("MUL", [x, up], value)
        x = self._builtin("ROUND", [x], np.round(value))
        return self._builtin("MUL", [x, down], np.round(value) * np.float32(2.0**-bits))

    def depth_to_space(self, x: int, block: int) -> int:
        value = self.values[x]
        n, h, w, c = value.shape
        deep = value.reshape(n, h, w, block, block, c // block**2).transpose(0, 1, 3, 2, 4, 5)
        result = deep.reshape(n, h * block, w * block, c // block**2)
        return self._builtin("DEPTH_TO_SPACE", [x], result, blockSize=block)

    def add_n(self, inputs: list[int]) -> int:
        total = np.sum([self.values[x] for x in inputs], axis=0, dtype=np.float32)
        return self._builtin("ADD_N", inputs, total)

    def nearest(self, x: int, factor: int) -> int:
        value = self.values[x].repeat(factor, axis=1).repeat(factor, axis=2)
        size = self.graph.constant(np.asarray(value.shape[1:3], np.int32))
        return self._builtin("RESIZE_NEAREST_NEIGHBOR", [x, size], value, halfPixelCenters=True)

    def concat(self, inputs: list[int]) -> int:
        value = np.concatenate([self.values[x] for x in inputs], axis=-1)
        return self._builtin("CONCATENATION", inputs, value, axis=3)

    def mean(self, x: int) -> int:
        axes = self.graph.constant(np.asarray([1, 2], np.int32))
        value = self.values[x].mean((1, 2), keepdims=True, dtype=np.float64)
        return self._builtin("MEAN", [x, axes], value.astype(np.float32), keepDims=True)

    def masked(self, x: int, spatial: bool) -> int:
        """`x` times 0 or 1, as attention makes them, along pixels or along channels."""
        n, h, w, c = self.values[x].shape
        signs = self.graph.input((n, h, w, 1) if spatial else (1, 1, 1, c))
        self.values[signs] = dyadic(self.rng, *self.graph.shape(signs))
        bits = self.graph.quantize(signs)
        mask = self.graph.dequantize(bits, 1 if spatial else c)
        self.values[mask] = oracle.signs(self.values[signs]).astype(np.float32)
        return self.binary("MUL", self.clamp("RELU", mask), x)

    def binary_conv(self, x: int, channels: int, kernel: int, padding: int, act: str) -> int:
        value = self.values[x]
        filters = np.where(
            self.rng.random((channels, kernel, kernel, value.shape[-1])) < 0.5, -1, 1
        )
        multiplier = dyadic(self.rng, channels, span=8)
        bias = dyadic(self.rng, channels)
        result = self.graph.conv(
            self.graph.quantize(x),
            value.shape[-1],
            filters,
            multiplier=multiplier,
            bias=bias,
            pad_values=padding,
            activation=act,
        )
        dot = oracle.dot_products(oracle.signs(value), filters, (1, 1), (1, 1), "SAME", padding)
        self.values[result] = oracle.affine(oracle.activate(dot, act), multiplier, bias)
        return result


@st.composite
def nets(draw: st.DrawFn) -> tuple[Net, list[int]]:
    net = Net(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    size = draw(st.tuples(st.integers(1, 7), st.integers(1, 9)))
    widths = st.sampled_from([8, 16, 24, 32, 40, 64, 96])
    floats = [net.input((draw(st.integers(1, 2)), *size, draw(widths)))]
    activations = st.sampled_from(["NONE", "NONE", "RELU", "RELU6"])
    kinds = st.sampled_from(["vector", "4d", "scalar"])
    for _ in range(draw(st.integers(2, 14))):
        # Mostly go on with what came last: that is where chains to fuse come from.
        x = floats[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(floats))
        shape = net.values[x].shape
        step = draw(
            st.sampled_from(
                ["conv"] * 4
                + ["constant", "constant", "add", "clamp", "d2s", "add_n", "nearest", "concat"]
                + ["mask", "branches", "grid"]
            )
        )
        if step == "constant":
            name = draw(st.sampled_from(["ADD", "ADD", "MUL"]))
            new = net.with_constant(name, x, draw(kinds), draw(st.booleans()), draw(activations))
        elif step == "add":
            alike = [y for y in floats if net.values[y].shape == shape]
            new = net.binary("ADD", x, draw(st.sampled_from(alike)), draw(activations))
        elif step == "add_n":
            alike = [y for y in floats if net.values[y].shape == shape]
            new = net.add_n([x, *draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))])
        elif step == "nearest" and shape[1] * shape[2] < 80:
            new = net.nearest(x, draw(st.integers(2, 3)))
        elif step == "concat":
            # Mostly of parts that fill whole words, which then never come together.
            parts = [net.binary_conv(x, draw(st.sampled_from([32, 64, 40])), 1, 1, "NONE"), x]
            joined = net.concat(parts)
            new = net.binary_conv(joined, draw(widths), draw(st.sampled_from([1, 3])), 1, "NONE")
        elif step == "grid":
            new = net.grid(x, draw(st.integers(0, 3)))
        elif step == "mask":
            new = net.masked(x, draw(st.booleans()))
        elif step == "branches" and shape[1] * shape[2] < 80:
            # The decoder's stage: gated branches, their sum at twice the size, lateral, shortcut.
            terms = [
                net.with_constant("MUL", net.binary_conv(x, 128, 3, 1, "NONE"), "vector", False)
                for _ in range(draw(st.integers(2, 3)))
            ]
            up = net.depth_to_space(net.add_n(terms), 2)
            lateral = net.input(net.values[up].shape)
            up = net.binary("ADD", up, lateral)
            small = net.binary_conv(x, 32, 1, 1, "NONE")
            new = net.binary("ADD", up, net.nearest(small, 2))
        elif step == "clamp":
            new = net.clamp(draw(st.sampled_from(["RELU", "RELU6"])), x)
        elif step == "d2s" and shape[-1] % 4 == 0 and shape[1] * shape[2] < 80:
            new = net.depth_to_space(x, 2)
        else:
            keep = draw(st.booleans())  # so that residuals have something to add to
            channels = shape[-1] if keep else draw(st.sampled_from([8, 20, 32, 64, 100, 128]))
            new = net.binary_conv(
                x, channels, draw(st.sampled_from([1, 3])), draw(st.integers(0, 1)), "NONE"
            )
        floats.append(new)
    others = st.lists(st.sampled_from(floats[1:]), max_size=2, unique=True)
    return net, list(dict.fromkeys([floats[-1], *draw(others)]))


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(nets(), st.integers(1, 3))
def test_fused_graphs_give_what_their_operators_give(
    case: tuple[Net, list[int]], threads: int
) -> None:
    net, outputs = case
    model = net.graph.build(*outputs)
    for name in xnor.instruction_sets():
        for fuse in (True, False):
            interpreter = xnor.load(model, threads, instruction_set=name, fuse=fuse)
            given_inputs = zip(interpreter.get_input_details(), net.graph.inputs, strict=True)
            for detail, tensor in given_inputs:
                interpreter.set_tensor(detail["index"], net.values[tensor])
            interpreter.invoke()
            details = interpreter.get_output_details()
            for detail, tensor in zip(details, outputs, strict=True):
                np.testing.assert_array_equal(
                    interpreter.get_tensor(detail["index"]),
                    net.values[tensor],
                    err_msg=f"{name}, fuse={fuse}, tensor {tensor}",
                )


def test_means_and_joined_branches_feed_convolutions() -> None:
    """The channel part of attention: the mean over the picture of branches side by side."""
    for channels in (64, 40):
        net = Net(np.random.default_rng(channels))
        x = net.input((2, 9, 11, 64))
        parts = [net.binary_conv(x, channels, 3, 1, "NONE") for _ in range(3)]
        joined = net.concat(parts)
        mean = net.mean(joined)
        spatial = net.binary_conv(joined, 8, 3, 1, "NONE")
        model = net.graph.build(mean, spatial)
        for name in xnor.instruction_sets():
            for fuse in (True, False):
                interpreter = xnor.load(model, 2, instruction_set=name, fuse=fuse)
                np.testing.assert_allclose(
                    interpreter.run(net.values[x]), net.values[mean], rtol=1e-5, atol=1e-5
                )
                index = interpreter.get_output_details()[1]["index"]
                np.testing.assert_array_equal(interpreter.get_tensor(index), net.values[spatial])


def test_a_number_beside_the_maps_stays_with_the_interpreter() -> None:
    net = Net(np.random.default_rng(0))
    x = net.binary_conv(net.input((1, 4, 5, 32)), 32, 3, 1, "NONE")
    axes = net.graph.constant(np.asarray([0, 1, 2, 3], np.int32))
    number = net.graph.builtin("MEAN", [x, axes], ())
    number = net.graph.builtin("RELU", [number], ())
    scaled = net.graph.builtin("MUL", [x, number], (1, 4, 5, 32))
    model = net.graph.build(scaled)
    expected = net.values[x] * max(net.values[x].mean(), 0)
    for name in xnor.instruction_sets():
        found = xnor.load(model, 1, instruction_set=name).run(net.values[net.graph.inputs[0]])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_part_without_channels_is_refused_in_a_sentence() -> None:
    net = Net(np.random.default_rng(0))
    parts = [net.input((1, 4, 5, 32)), net.input((1, 4, 5, 32))]
    model = net.graph.build(net.binary_conv(net.concat(parts), 8, 1, 1, "NONE"))
    for name in xnor.instruction_sets():
        interpreter = xnor.load(model, 1, instruction_set=name)
        details = interpreter.get_input_details()
        interpreter.resize_tensor_input(details[0]["index"], [1, 4, 5, 0])
        interpreter.resize_tensor_input(details[1]["index"], [1, 4, 5, 64])
        with pytest.raises(RuntimeError, match="concatenation"):
            interpreter.allocate_tensors()

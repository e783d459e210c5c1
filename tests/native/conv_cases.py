"""Random convolutions for the tests of the XNOR runtime, by Hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

import lce_graph
import numpy as np
import oracle
from hypothesis import strategies as st


@dataclass(frozen=True)
class ConvCase:
    """A convolution's shapes and options; the numbers in it come from `seed`."""

    batch: int
    size: tuple[int, int]
    group_channels_in: int
    group_channels_out: int
    groups: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: str
    pad_values: int
    activation: str
    source: str
    out: str
    threads: int
    seed: int

    @property
    def channels_in(self) -> int:
        return self.group_channels_in * self.groups

    @property
    def channels_out(self) -> int:
        return self.group_channels_out * self.groups

    def numbers(self) -> dict[str, np.ndarray]:
        """Input, filters and what the output's kind needs."""
        rng = np.random.default_rng(self.seed)
        shape = (self.batch, *self.size, self.channels_in)
        if self.source == "float32":
            x = rng.normal(size=shape).astype(np.float32)
            # What is neither positive nor negative must count as +1.
            x[rng.random(shape) < 0.02] = 0.0
            x[rng.random(shape) < 0.02] = -0.0
        elif self.source == "int8":
            x = rng.integers(-128, 128, shape).astype(np.int8)
        else:
            x = rng.random(shape) < 0.5
        filters = np.where(
            rng.random((self.channels_out, *self.kernel, self.group_channels_in)) < 0.5, -1, 1
        )
        depth = int(np.prod(filters.shape[1:]))
        spread = max(int(np.sqrt(depth)), 1)
        return {
            "x": x,
            "zero_point": np.asarray(int(rng.integers(-20, 21)) if self.source == "int8" else 0),
            "filters": filters,
            "multiplier": rng.normal(size=self.channels_out).astype(np.float32),
            "bias": (rng.normal(size=self.channels_out) * spread).astype(np.float32),
            # LCE counts differing bits; about half of them do.
            "thresholds": depth // 2 + rng.integers(-spread - 2, spread + 3, self.channels_out),
            "out_scale": np.asarray(np.float32(rng.uniform(0.02, 0.2) * spread)),
            "out_zero_point": np.asarray(int(rng.integers(-30, 31))),
        }

    def model(self, numbers: dict[str, np.ndarray]) -> bytes:
        graph = lce_graph.Graph()
        quantization = (
            {"scale": 0.1, "zero_point": int(numbers["zero_point"])}
            if self.source == "int8"
            else {}
        )
        x = numbers["x"]
        source = graph.input(x.shape, x.dtype, **quantization)
        is_int8 = self.out == "int8"
        output = graph.conv(
            graph.quantize(source),
            self.channels_in,
            numbers["filters"],
            out=self.out,
            multiplier=numbers["multiplier"],
            bias=numbers["bias"],
            thresholds=numbers["thresholds"],
            strides=self.strides,
            dilations=self.dilations,
            padding=self.padding,
            pad_values=self.pad_values,
            activation=self.activation,
            scale=float(numbers["out_scale"]) if is_int8 else None,
            zero_point=int(numbers["out_zero_point"]) if is_int8 else 0,
        )
        return graph.build(output)

    def dot_products(self, numbers: dict[str, np.ndarray]) -> np.ndarray:
        return oracle.dot_products(
            oracle.signs(numbers["x"], int(numbers["zero_point"])),
            numbers["filters"],
            self.strides,
            self.dilations,
            self.padding,
            self.pad_values,
        )


@st.composite
def conv_cases(draw: st.DrawFn) -> ConvCase:
    """Cases that both LCE's reference kernel and the runtime accept."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    if groups == 1:
        channels_in = draw(st.sampled_from([1, 2, 3, 31, 32, 33, 40, 64, 65, 96, 100, 128, 200]))
    else:
        channels_in = draw(st.sampled_from([32, 64, 96]))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    pad_values = draw(st.sampled_from([0, 1]))
    if padding == "SAME" and pad_values == 0 and channels_in % 2:
        channels_in += 1  # LCE's reference kernel halves the number of channels
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dilations = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    smallest = [
        1 if padding == "SAME" else (k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)
    ]
    out = draw(st.sampled_from(["float32", "int8", "bitpacked"]))
    return ConvCase(
        batch=draw(st.integers(1, 3)),
        size=(
            draw(st.integers(smallest[0], smallest[0] + 9)),
            draw(st.integers(smallest[1], smallest[1] + 15)),
        ),
        group_channels_in=channels_in,
        group_channels_out=draw(st.integers(1, 70)),
        groups=groups,
        kernel=kernel,
        strides=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        dilations=dilations,
        padding=padding,
        pad_values=pad_values,
        # A bitpacked output has its activation inside its thresholds.
        activation="NONE"
        if out == "bitpacked"
        else draw(st.sampled_from(sorted(lce_graph.ACTIVATIONS))),
        source=draw(st.sampled_from(["float32", "float32", "int8", "bool"])),
        out=out,
        threads=draw(st.integers(1, 3)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )

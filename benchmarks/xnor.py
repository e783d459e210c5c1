"""Times the XNOR runtime and everything else that a user could run, in one process.

    python benchmarks/xnor.py                           # single layers
    python benchmarks/xnor.py --sets                    # the processor's instruction sets only
    python benchmarks/xnor.py --threads 2               # the first layer on one and two threads
    python benchmarks/xnor.py --entry name=net.tflite,float.tflite,int8.tflite

A layer's tensors are float32, with LceQuantize in front. Like is compared with like: against
int8 XNNPACK the binary layer has int8 tensors, too. The last of the layers is four residual blocks
in a row, `x + conv(x)`, as networks have them.

The runtimes take turns, so that whatever else the machine does falls on each alike; in its turn
each runs twice, and the second run counts. The table shows medians (and minima). With one thread
the clock is the thread's own processor time, with more it is the wall's. For layers the run alone
is timed (LCE's interpreter offers only a call that copies input and output, too); for an entry the
whole call: input handed over, run, output fetched.

"Share" is the convolution's binary multiply-adds for each second, LceQuantize and all, over those
of a register-only loop of xor, popcount and add with the same instructions, timed in between. It
may pass 1: the kernels need fewer instructions than that loop (`native/src/kernels.h`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "native"))

from larq_dense.common.machine import processor
from larq_dense.runtime import xnor
from larq_dense.runtime.engine import Engine

Call = Callable[[], Any]


@dataclass(frozen=True)
class Layer:
    """A convolution, once or, as networks have it, `blocks` times `x + conv(x)`."""

    height: int
    width: int
    channels_in: int
    channels_out: int
    kernel: int
    stride: int = 1
    blocks: int = 1

    @property
    def name(self) -> str:
        """How the table calls it."""
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        blocks = f", {self.blocks} residual blocks" if self.blocks > 1 else ""
        return (
            f"{self.kernel}x{self.kernel}, {self.channels_in} -> {self.channels_out}, "
            f"{self.height}x{self.width}{stride}{blocks}"
        )

    @property
    def macs(self) -> int:
        """Multiply-adds of one run."""
        pixels = -(-self.height // self.stride) * -(-self.width // self.stride)
        return self.blocks * pixels * self.channels_out * self.kernel**2 * self.channels_in

    @property
    def _filter_shape(self) -> tuple[int, int, int, int]:
        return (self.channels_out, self.kernel, self.kernel, self.channels_in)

    def binary(self, int8: bool = False) -> bytes:
        """Return the layer as LCE's converter writes it, between tensors of float32 or int8."""
        import lce_graph

        rng = np.random.default_rng(0)
        graph = lce_graph.Graph()
        residual = self.blocks > 1
        dtype = np.int8 if int8 else np.float32
        scale = 0.05 if int8 else None
        x = graph.input((1, self.height, self.width, self.channels_in), dtype, scale=scale)
        for _ in range(self.blocks):
            y = graph.conv(
                graph.quantize(x),
                self.channels_in,
                np.where(rng.random(self._filter_shape) < 0.5, -1, 1),
                multiplier=rng.normal(size=self.channels_out),
                bias=rng.normal(size=self.channels_out),
                strides=(self.stride, self.stride),
                out="int8" if int8 else "float32",
                scale=scale,
            )
            x = graph.builtin("ADD", [x, y], graph.shape(y), dtype, scale=scale) if residual else y
        result: bytes = graph.build(x)
        return result

    def plain(self, int8: bool) -> bytes:
        """Return the layer with ordinary weights, in float32 or int8."""
        import lce_graph

        rng = np.random.default_rng(0)
        graph = lce_graph.Graph()
        residual = self.blocks > 1
        dtype = np.int8 if int8 else np.float32
        scale = {"scale": 0.05} if int8 else {}
        oh, ow = -(-self.height // self.stride), -(-self.width // self.stride)
        x = graph.input((1, self.height, self.width, self.channels_in), dtype, **scale)
        for _ in range(self.blocks):
            weights = rng.integers(-127, 128, self._filter_shape).astype(dtype)
            filters = graph.constant(weights)
            bias = graph.constant(np.zeros(self.channels_out, np.int32 if int8 else np.float32))
            if int8:
                self._scale_by_channel(graph, filters, 0.05)
                self._scale_by_channel(graph, bias, 0.0025)
            y = graph.tensor((1, oh, ow, self.channels_out), dtype, **scale)
            y = graph.convolution([x, filters, bias], y, self.stride)
            x = graph.builtin("ADD", [x, y], graph.shape(y), dtype, **scale) if residual else y
        result: bytes = graph.build(x)
        return result

    def rounded_safely(self) -> bytes:
        """Return the layer in int8 with such weights and scales as `convert --int8` writes."""
        import lce_graph

        rng = np.random.default_rng(0)
        graph = lce_graph.Graph()
        channels = self.channels_out
        x = graph.input((1, self.height, self.width, self.channels_in), np.int8, scale=0.5)
        weights = 4 * rng.integers(-8, 8, self._filter_shape)
        filters = graph.constant(weights.astype(np.int8), scale=[2.0**-9] * channels)
        bias = graph.constant(np.full(channels, 2, np.int32), scale=[2.0**-10] * channels)
        size = (-(-self.height // self.stride), -(-self.width // self.stride))
        y = graph.tensor((1, *size, channels), np.int8, scale=0.5)
        result: bytes = graph.build(graph.convolution([x, filters, bias], y, self.stride))
        return result

    def _scale_by_channel(self, graph: Any, tensor: int, scale: float) -> None:
        import lce_graph

        quantization = lce_graph.schema.QuantizationParametersT()
        quantization.scale = [scale] * self.channels_out
        quantization.zeroPoint = [0] * self.channels_out
        graph.tensors[tensor].quantization = quantization


LAYERS = (
    Layer(64, 64, 256, 256, 3),
    Layer(128, 128, 64, 64, 3),
    Layer(32, 32, 512, 512, 1),
    Layer(64, 64, 128, 256, 3, stride=2),
    Layer(64, 64, 256, 256, 3, blocks=4),
)

INT8_LAYERS = (
    Layer(64, 64, 64, 64, 3),
    Layer(32, 32, 256, 256, 1),
    Layer(256, 256, 3, 32, 3, stride=2),
)


@dataclass
class Contest:
    """Calls that take turns, and how long each took."""

    threads: int
    calls: dict[str, Call] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, call: Call) -> None:
        """Enter a call; a first one warms it up."""
        call()
        self.calls[name] = call
        self.seconds[name] = []

    def run(self, repeats: int) -> None:
        """Let all take turns."""
        clock = time.thread_time if self.threads == 1 else time.perf_counter
        for _ in range(repeats):
            for name, call in self.calls.items():
                call()  # the runtime before it left nothing of this one's in the caches
                start = clock()
                call()
                self.seconds[name].append(clock() - start)

    def median(self, name: str) -> float:
        """Return the median in seconds."""
        return float(np.median(self.seconds[name]))

    def least(self, name: str) -> float:
        """Return the minimum in seconds."""
        return min(self.seconds[name])


def picture_for(detail: dict[str, Any]) -> np.ndarray:
    """Return a random input of the shape and type that a model takes."""
    x = np.random.default_rng(1).normal(size=detail["shape"])
    return (x * (20 if detail["dtype"] != np.float32 else 1)).astype(detail["dtype"])


def stock_call(interpreter: Any) -> tuple[Call, Call]:
    """Return the whole call of an interpreter, and its run alone."""
    source = interpreter.get_input_details()[0]
    index = interpreter.get_output_details()[0]["index"]
    x = picture_for(source)

    interpreter.set_tensor(source["index"], x)

    def call() -> np.ndarray:
        interpreter.set_tensor(source["index"], x)
        interpreter.invoke()
        result: np.ndarray = interpreter.get_tensor(index)
        return result

    return call, interpreter.invoke


def stock_interpreter(model: bytes, threads: int) -> Any:
    """Return the interpreter of the installed LiteRT or TensorFlow, XNNPACK and all."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite.python.interpreter import Interpreter
    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def lce_calls(model: bytes, threads: int) -> dict[str, Call]:
    """Return LCE's kernels, with and without XNNPACK for the float operators."""
    try:
        from larq_compute_engine.tflite.python.interpreter import Interpreter
    except ImportError:
        return {}
    calls: dict[str, Call] = {}
    for name, options in (
        ("LCE default", {}),
        ("LCE indirect", {"use_indirect_bgemm": True}),
        ("LCE indirect + XNNPACK", {"use_indirect_bgemm": True, "use_xnnpack": True}),
    ):
        native = Interpreter(model, num_threads=threads, **options).interpreter
        kind = np.dtype(native.input_types[0])
        x = picture_for({"shape": native.input_shapes[0], "dtype": kind})
        calls[name] = lambda native=native, x=x: native.predict([x])
    return calls


def show(header: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def milliseconds(contest: Contest, name: str) -> str:
    """Return median and minimum as text."""
    return f"{1e3 * contest.median(name):.2f} ({1e3 * contest.least(name):.2f})"


def bench_layer(layer: Layer, threads: int, repeats: int, sets: list[str]) -> dict[str, Any]:
    """Time one layer in every runtime and print a table."""
    model = layer.binary()
    contest = Contest(threads)
    iterations = 100_000
    limit_macs: dict[str, int] = {}
    for name in sets:
        _, run = stock_call(xnor.load(model, threads, instruction_set=name))
        contest.add(f"XNOR {name}", run)
        _, run = stock_call(xnor.load(layer.binary(int8=True), threads, instruction_set=name))
        contest.add(f"XNOR {name}, int8 tensors", run)
        limit_macs[name] = xnor.limit_macs(name, iterations)
        contest.add(f"limit {name}", lambda name=name: xnor.limit_macs(name, iterations))
    for name, call in lce_calls(model, threads).items():
        contest.add(name, call)
    for name, int8 in (("float32 XNNPACK", False), ("int8 XNNPACK", True)):
        contest.add(name, stock_call(stock_interpreter(layer.plain(int8), threads))[1])
    contest.run(repeats)

    best = f"XNOR {sets[0]}"
    like = {"int8 XNNPACK": f"{best}, int8 tensors"}
    rows = []
    for name in contest.calls:
        if name.startswith("limit"):
            continue
        share = ""
        if name.startswith("XNOR"):
            kind = name.split()[1].rstrip(",")
            most = limit_macs[kind] / contest.median(f"limit {kind}") * threads
            share = f"{layer.macs / contest.median(name) / most:.2f}"
        ratio = contest.median(name) / contest.median(like.get(name, best))
        rows.append([name, milliseconds(contest, name), f"{ratio:.1f}", share])
    print(f"\n{layer.name}: {layer.macs / 1e9:.2f} G multiply-adds, {threads} thread(s)\n")
    show(["runtime", "ms, median (minimum)", f"times {best}", "share of the limit"], rows)
    print("\nint8 XNNPACK is compared with the binary layer between int8 tensors.")
    return {
        "layer": layer.name,
        "threads": threads,
        "limit_gmacs": {k: v / contest.median(f"limit {k}") / 1e9 for k, v in limit_macs.items()},
        "median_ms": {name: 1e3 * contest.median(name) for name in contest.calls},
        "minimum_ms": {name: 1e3 * contest.least(name) for name in contest.calls},
    }


def bench_threads(layer: Layer, threads: int, repeats: int) -> dict[str, Any]:
    """Time a layer on one and on several threads, by the wall's clock."""
    contest = Contest(max(threads, 2))
    for count in (1, threads):
        contest.add(f"{count} thread(s)", stock_call(xnor.load(layer.binary(), count))[1])
    contest.run(repeats)
    one, many = contest.calls
    # The quietest moments tell what the runtime can do on a machine that others use, too.
    gain = contest.least(one) / contest.least(many)
    print(f"\n{layer.name}, run alone, wall clock\n")
    show(
        ["threads", "ms, median (minimum)"],
        [[name, milliseconds(contest, name)] for name in contest.calls],
    )
    print(f"\n{threads} threads are {gain:.2f} times as fast as one (minima).")
    return {"layer": layer.name, "threads": threads, "gain": gain}


def bench_sets(repeats: int, sets: list[str]) -> list[dict[str, Any]]:
    """Time layers in each instruction set and print minima, and those of AVX2 or NEON."""
    base = next((name for name in ("avx2", "neon") if name in sets), sets[-1])
    rows, results = [], []
    for layer, kind in (
        *((layer, "binary, float32 tensors") for layer in LAYERS),
        *((layer, "binary, int8 tensors") for layer in LAYERS),
        *((layer, "int8") for layer in INT8_LAYERS),
    ):
        contest = Contest(threads=1)
        for name in sets:
            if kind == "int8":
                engine = Engine(layer.rounded_safely(), instruction_set=name)
                x = picture_for({"shape": engine.inputs[0].shape, "dtype": np.int8})
                contest.add(name, lambda engine=engine, x=x: engine.run([x]))
            else:
                model = layer.binary(int8=kind == "binary, int8 tensors")
                interpreter = xnor.load(model, instruction_set=name)
                contest.add(name, stock_call(interpreter)[1])
        contest.run(repeats)
        least = {name: 1e3 * contest.least(name) for name in sets}
        rows.append(
            [
                f"{layer.name}, {kind}",
                *(f"{least[name]:.2f} ({least[base] / least[name]:.2f})" for name in sets),
            ]
        )
        results.append({"layer": layer.name, "kind": kind, "minimum_ms": least})
    print(f"\nms, minimum (times as fast as {base}), 1 thread\n")
    show(["layer", *sets], rows)
    return results


def bench_entry(text: str, threads: int, repeats: int) -> dict[str, Any]:
    """Time a whole network, LCE and the baselines; `text` is `name=binary[,float[,int8]]`."""
    name, _, files = text.partition("=")
    paths = [Path(part) for part in files.split(",")]
    model = paths[0].read_bytes()
    contest = Contest(threads)
    contest.add("XNOR", stock_call(xnor.load(model, threads))[0])
    contest.add("XNOR, nothing fused", stock_call(xnor.load(model, threads, fuse=False))[0])
    for lce, call in lce_calls(model, threads).items():
        contest.add(lce, call)
    for baseline, path in zip(("float32 baseline", "int8 baseline"), paths[1:], strict=False):
        contest.add(baseline, stock_call(stock_interpreter(path.read_bytes(), threads))[0])
    contest.run(repeats)
    print(f"\n{name}, {threads} thread(s)\n")
    show(
        ["runtime", "ms, median (minimum)", "times XNOR"],
        [
            [
                each,
                milliseconds(contest, each),
                f"{contest.median(each) / contest.median('XNOR'):.1f}",
            ]
            for each in contest.calls
        ],
    )
    return {
        "entry": name,
        "threads": threads,
        "median_ms": {each: 1e3 * contest.median(each) for each in contest.calls},
    }


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entry", action="append", default=[], metavar="NAME=FILE[,FLOAT[,INT8]]")
    parser.add_argument("--sets", action="store_true", help="compare the instruction sets only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--layers", type=int, nargs="*", default=None, help="which, from 0")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    reason = xnor.why_unavailable()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 1
    sets = [name for name in xnor.instruction_sets() if name != "portable"] or ["portable"]
    cpu, _ = processor()
    print(f"{cpu}; instruction sets {', '.join(xnor.instruction_sets())}")
    results: list[dict[str, Any]] = []
    if given.sets:
        results += bench_sets(given.repeats, sets)
    elif given.entry:
        results += [bench_entry(entry, given.threads, given.repeats) for entry in given.entry]
    elif given.threads > 1:
        results.append(bench_threads(LAYERS[0], given.threads, 5 * given.repeats))
    else:
        chosen = range(len(LAYERS)) if given.layers is None else given.layers
        results += [bench_layer(LAYERS[i], 1, given.repeats, sets) for i in chosen]
    if given.json:
        given.json.write_text(json.dumps({"processor": cpu, "results": results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Latency of one model on every engine that can run it, side by side in one process."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from larq_dense import runtime
from larq_dense.common.errors import INSTALL_EXTRA
from larq_dense.common.extra import is_installed
from larq_dense.runtime import xnor
from larq_dense.runtime.interpreter import Kernel

if TYPE_CHECKING:
    import tensorflow as tf

Run = Callable[[NDArray[np.float32]], Any]

LCE_KERNELS: tuple[Kernel, ...] = ("default", "reference", "indirect")
"""Larq Compute Engine's implementations of the binary convolution."""

_LCE = "larq_compute_engine"


@dataclass(frozen=True)
class Candidate:
    """One way to run a network.

    Attributes:
        engine: Its name in the table.
        network: `"binary"`, `"binary int8"`, `"float32"` or `"int8"`.
        threads: Threads it may use; None: as many as TensorFlow's own pool has.
        size: Bytes of the file that it runs, None for a model in memory.
    """

    engine: str
    network: str
    threads: int | None
    size: int | None


@dataclass(frozen=True)
class LocalCandidate(Candidate):
    """One way to run a network in this process.

    Attributes:
        run: Takes the normalized picture, float32 `[1, height, width, 3]`, returns logits.
    """

    run: Run


@dataclass(frozen=True)
class Timing:
    """How long one candidate took.

    Attributes:
        candidate: What ran.
        milliseconds: Of each repeat, in the order in which they ran.
    """

    candidate: Candidate
    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the repeats, in milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def percentiles(self) -> tuple[float, float]:
        """The 10th and 90th percentile of the repeats, in milliseconds."""
        low, high = np.percentile(self.milliseconds, [10, 90])
        return float(low), float(high)


def candidates(
    threads: Sequence[int],
    *,
    keras: tf.keras.Model | None = None,
    binary_file: bytes | None = None,
    float_file: bytes | None = None,
    int8_file: bytes | None = None,
    quantized_file: bytes | None = None,
) -> list[LocalCandidate]:
    """Return every way to run the given forms of a network here.

    Args:
        threads: Each `.tflite` is run with each of these numbers of threads.
        keras: The Keras model.
        binary_file: It converted by Larq Compute Engine, which runs it, as does the XNOR runtime;
            `left_out` tells of those that are not installed.
        float_file: The full-precision baseline as float32 `.tflite`.
        int8_file: The full-precision baseline as int8 `.tflite`.
        quantized_file: The binary network with all else in int8; it is handed its own integers,
            which an app takes from the picture by a table.
    """
    found = []
    if keras is not None:
        network = "float32" if binary_file is None else "binary"
        found.append(LocalCandidate("Keras", network, None, None, _keras_run(keras)))
    for count in threads:
        if binary_file is not None:
            found += _binary_candidates(binary_file, count)
        if quantized_file is not None and xnor.available():
            run = _quantized_run(quantized_file, count)
            size = len(quantized_file)
            found.append(LocalCandidate("XNOR runtime, int8", "binary int8", count, size, run))
        for network, file in (("float32", float_file), ("int8", int8_file)):
            if file is not None:
                run = _tflite_run(file, count)
                found.append(LocalCandidate(f"TFLite {network}", network, count, len(file), run))
    return found


def left_out() -> list[str]:
    """Say in a sentence each which engines for binary files this machine lacks."""
    sentences = []
    if not is_installed(_LCE):
        sentences.append(
            f"Larq Compute Engine is not installed, so its kernels are left out; {INSTALL_EXTRA}."
        )
    reason = xnor.why_unavailable()
    if reason is not None:
        sentences.append(f"The XNOR runtime is left out: {reason}")
    return sentences


def time_interleaved(
    entrants: Sequence[LocalCandidate],
    picture: NDArray[np.float32],
    repeats: int,
    watch: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[Timing]:
    """Time all candidates in turn, again and again.

    Taking turns spreads whatever else the machine does evenly over all of them. On one thread it is
    that thread's own time; on more, and for Keras, what a clock shows. One run of each before the
    first turn is not timed.

    Args:
        entrants: What to run.
        picture: The input, float32 `[1, height, width, 3]`.
        repeats: How many turns, at least 1.
        watch: Passes the turns on, such as under a progress bar.

    Returns:
        One timing for each candidate, in their order.
    """
    for entrant in entrants:
        entrant.run(picture)
    turns = [[_milliseconds(each, picture) for each in entrants] for _ in watch(range(repeats))]
    columns = zip(*turns, strict=True)
    return [Timing(*pair) for pair in zip(entrants, columns, strict=True)]


def _milliseconds(entrant: LocalCandidate, picture: NDArray[np.float32]) -> float:
    # One thread is the one that calls: its own time leaves out what else the machine does.
    now = time.thread_time if entrant.threads == 1 else time.perf_counter
    start = now()
    entrant.run(picture)
    return 1000 * (now() - start)


def ratios(timings: Sequence[Timing]) -> list[float | None]:
    """Return each median over that of the float32 baseline with as many threads.

    Keras, whose threads are not chosen here, is held against the most threads. None where the
    baseline was not timed.
    """
    baselines = {t.candidate.threads: t.median for t in timings if t.candidate.network == "float32"}
    most = max(baselines, key=lambda count: count or 0, default=None)
    pairs = [(t.median, baselines.get(t.candidate.threads or most)) for t in timings]
    return [median / baseline if baseline else None for median, baseline in pairs]


def to_rows(timings: Sequence[Timing]) -> list[dict[str, Any]]:
    """Return one JSON-ready row for each timing, all of its repeats included."""
    return [
        {
            "engine": timing.candidate.engine,
            "network": timing.candidate.network,
            "threads": timing.candidate.threads,
            "bytes": timing.candidate.size,
            "median_ms": timing.median,
            "p10_ms": timing.percentiles[0],
            "p90_ms": timing.percentiles[1],
            "ratio_to_float32": ratio,
            "repeats_ms": list(timing.milliseconds),
        }
        for timing, ratio in zip(timings, ratios(timings), strict=True)
    ]


def _keras_run(model: tf.keras.Model) -> Run:
    import tensorflow as tf

    traced = tf.function(lambda image: model(image, training=False), autograph=False)
    return lambda picture: traced(tf.constant(picture)).numpy()


def _binary_candidates(file: bytes, threads: int) -> list[LocalCandidate]:
    runs: list[tuple[str, Run]] = [
        (f"LCE {kernel}", runtime.LceInterpreter(file, threads, kernel).run)
        for kernel in (LCE_KERNELS if is_installed(_LCE) else ())
    ]
    if xnor.available():
        runs.append(("XNOR runtime", runtime.load(file, threads, "xnor").run))
    return [LocalCandidate(name, "binary", threads, len(file), run) for name, run in runs]


def _quantized_run(file: bytes, threads: int) -> Run:
    interpreter = xnor.load(file, threads)
    source = interpreter.get_input_details()[0]
    target = interpreter.get_output_details()[0]["index"]
    picture = np.zeros(source["shape"], source["dtype"])

    def run(_: NDArray[np.float32]) -> Any:
        interpreter.set_tensor(source["index"], picture)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run


def _tflite_run(file: bytes, threads: int) -> Run:
    from larq_dense.common.keras2 import tf

    with warnings.catch_warnings():
        # TensorFlow 2.19 announces that its interpreter moves to a package of its own.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=file, num_threads=threads)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    source, dtype = details["index"], details["dtype"]
    target = interpreter.get_output_details()[0]["index"]

    def run(picture: NDArray[np.float32]) -> Any:
        # A file of int8 input is handed its own integers; which ones changes no time.
        interpreter.set_tensor(source, picture.astype(dtype))
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run

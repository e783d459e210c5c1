"""Accuracy over time: networks timed in turn, and which of them others dominate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from larq_dense.latency import arm
from larq_dense.runtime import xnor
from larq_dense.runtime.interpreter import LCE_OPERATIONS
from larq_dense.runtime.metadata import parse


@dataclass(frozen=True)
class Point:
    """One form of a network: what it reaches and how long it takes.

    Attributes:
        model: The entry, run or recipe, as the user named it.
        form: `"binary, int8"`, `"binary, float between"`, `"float32"` or `"int8"`.
        content: The `.tflite` file.
        metric: The task's main metric, 0…1; None for random weights.
        milliseconds: For one picture, by what it ran on, such as `"1 thread"`.
    """

    model: str
    form: str
    content: bytes = field(repr=False)
    metric: float | None = None
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Model and form."""
        return f"{self.model} ({self.form})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "model": self.model,
            "form": self.form,
            "bytes": len(self.content),
            "metric": self.metric,
            "milliseconds": dict(self.milliseconds),
        }


def time_here(
    files: Sequence[bytes],
    threads: int,
    repeats: int,
    watch: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Time files in turn, again and again, and return the least of each, in milliseconds.

    Files with Larq Compute Engine's operators run in the XNOR runtime, others in the stock
    interpreter with XNNPACK. On one thread it is that thread's own time, in which nothing else that
    the machine does is counted; on more it is what a clock shows, so let nothing else run.

    Args:
        files: `.tflite` files.
        threads: Threads that each may use.
        repeats: Turns, at least 1; one more before them is not timed.
        watch: Passes the turns on, such as under a progress bar.
    """
    interpreters = [_open(content, threads) for content in files]
    now = time.thread_time if threads == 1 else time.perf_counter
    least = [float("inf")] * len(files)
    for interpreter in interpreters:
        interpreter.invoke()
    for _ in watch(range(repeats)):
        for index, interpreter in enumerate(interpreters):
            start = now()
            interpreter.invoke()
            least[index] = min(least[index], 1000 * (now() - start))
    return least


def _open(content: bytes, threads: int) -> Any:
    """Return an interpreter of a file, with numbers in its input."""
    custom = {operator.custom_name for operator in parse(content).operators}
    if custom & {*LCE_OPERATIONS}:
        interpreter = xnor.load(content, threads)
    else:
        interpreter = xnor.stock(content, threads)
    source = interpreter.get_input_details()[0]
    numbers = np.random.default_rng(0).integers(-100, 100, source["shape"])
    interpreter.set_tensor(source["index"], numbers.astype(source["dtype"]))
    return interpreter


def on_arm(content: bytes) -> dict[str, float]:
    """Return a file's milliseconds on each modelled Arm core, by a column's name."""
    return {f"{core.name}, model": arm.milliseconds(content, core) for core in arm.CORES}


def dominating(point: Point, points: Iterable[Point], column: str) -> list[Point]:
    """Return the points that are no slower and no worse than one, and better in one of the two.

    Args:
        point: One with a metric.
        points: All that are compared; those without a metric dominate nothing.
        column: A key of `milliseconds`.
    """
    assert point.metric is not None
    found = []
    for other in points:
        if other.metric is None:
            continue
        gains = other.metric - point.metric, point.milliseconds[column] - other.milliseconds[column]
        if min(gains) >= 0 and max(gains) > 0:
            found.append(other)
    return found


def in_words(points: Sequence[Point], column: str) -> list[str]:
    """Say which networks are on the frontier and which dominate others, a sentence each.

    Args:
        points: What was measured.
        column: A key of `milliseconds`.
    """
    rated = [point for point in points if point.metric is not None]
    best = [point for point in rated if not dominating(point, rated, column)]
    best.sort(key=lambda point: point.milliseconds[column])
    if not best:
        return []
    sentences = [f"{column}: no other is both faster and better than {_listed(best)}."]
    for point in rated:
        # Those on the frontier alone: what they dominate, others dominate for the same reason.
        above = [other for other in dominating(point, rated, column) if other in best]
        if above:
            sentences.append(
                f"{column}: {_described(point, column)} is dominated by "
                f"{', '.join(_described(other, column) for other in above)}."
            )
    return sentences


def _listed(points: Sequence[Point]) -> str:
    return ", ".join(point.name for point in points)


def _described(point: Point, column: str) -> str:
    return f"{point.name}, {point.metric:.3f} in {point.milliseconds[column]:.2f} ms"

"""Time converted int8 files on the engine and on the delegate in LiteRT, side by side.

    larq-dense convert ecssd --int8 --output ecssd_int8.tflite
    python benchmarks/engine.py ecssd_int8.tflite --repeats 50

For each file: milliseconds a picture on one and on two threads, both ways taking turns; then, each
in fresh processes that have imported NumPy, milliseconds from before the runtime is imported to the
first result, and the memory that this took, of which the engine's is also told in times of what the
file's constants and the peak of its computed tensors take together. As in benchmarks/xnor.py the
clock of one thread is its own processor time, that of two is the wall's; a cold start's is the
process's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WAYS = ("engine", "delegate")


def open_file(way: str, content: bytes, threads: int) -> Callable[[Any], Any]:
    """Return a function from an input to an output."""
    if way == "engine":
        from larq_dense.runtime.engine import Engine

        engine = Engine(content, threads)
        return lambda x: engine.run([x])[0]
    from larq_dense.runtime import xnor

    run: Callable[[Any], Any] = xnor.load(content, threads).run
    return run


def latencies(content: bytes, threads: int, repeats: int) -> dict[str, list[float]]:
    """Return the milliseconds of every run, of both ways in turn."""
    from larq_dense.runtime.tflite_file import TfliteFile

    shape = TfliteFile.parse(content).inputs[0].shape
    picture = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    runs = {way: open_file(way, content, threads) for way in WAYS}
    if not np.array_equal(*(run(picture) for run in runs.values())):
        raise SystemExit("the engine and the delegate disagree")
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    clock = time.thread_time if threads == 1 else time.perf_counter
    for _ in range(repeats):
        for way, run in runs.items():
            run(picture)  # the second of two in a row counts
            start = clock()
            run(picture)
            taken[way].append(1000 * (clock() - start))
    return taken


def resident() -> int:
    """Return this process's bytes in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def start_cold(way: str, path: Path) -> dict[str, float]:
    """Open the file in this fresh process and run it once."""
    from larq_dense.runtime.tflite_file import TfliteFile

    content = path.read_bytes()
    shape = TfliteFile.parse(content).inputs[0].shape
    picture = np.zeros(shape, np.int8)
    before, start = resident(), time.process_time()
    run = open_file(way, content, 1)
    opened = time.process_time()
    run(picture)
    end = time.process_time()
    return {
        "opened": 1000 * (opened - start),
        "first": 1000 * (end - start),
        "bytes": resident() - before,
    }


def start_cold_elsewhere(way: str, path: Path, repeats: int) -> dict[str, float]:
    """Return the least of some fresh processes."""
    starts = []
    for _ in range(repeats):
        command = [sys.executable, __file__, str(path), "--cold", way]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        starts.append(json.loads(result.stdout.splitlines()[-1]))
    return {key: min(each[key] for each in starts) for key in starts[0]}


def least_bytes(content: bytes) -> int:
    """Return the bytes of a file's constants and of the peak of its computed tensors."""
    from larq_dense.evaluation.memory import peak_bytes
    from larq_dense.runtime.tflite_file import TfliteFile

    file = TfliteFile.parse(content)
    tensors = [each for operator in file.operators for each in operator.inputs if each is not None]
    constants = {id(each): len(each.content) for each in tensors}
    return sum(constants.values()) + peak_bytes(content)


def main() -> None:
    """Print the figures of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--cold", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cold:
        print(json.dumps(start_cold(arguments.cold, arguments.files[0])))
        return
    for path in arguments.files:
        content = path.read_bytes()
        print(f"{path.name}, {len(content):,} bytes")
        for threads in (1, 2):
            for way, taken in latencies(content, threads, arguments.repeats).items():
                print(
                    f"  {way}, {threads} thread(s): {statistics.median(taken):.2f} ms "
                    f"({min(taken):.2f})"
                )
        for way in WAYS:
            cold = start_cold_elsewhere(way, path, 3)
            print(
                f"  {way}, cold: opened after {cold['opened']:.1f} ms, first result after "
                f"{cold['first']:.1f} ms, {cold['bytes'] / 2**20:.1f} MiB, "
                f"{cold['bytes'] / least_bytes(content):.2f} times constants and peak tensors"
            )


if __name__ == "__main__":
    main()

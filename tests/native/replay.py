"""Carries the sweep to a machine where only NumPy and ai-edge-litert run.

    python tests/native/replay.py record cases.npz --count 500 [--model net.tflite]
    python replay.py replay cases.npz --library liblarq_dense_xnor.so

`record` writes random convolutions with what LCE's reference kernel gives for them, and converted
networks with two of scikit-image's pictures and what this machine's XNOR runtime makes of them;
`replay` runs them all and compares bit for bit (float convolutions with the definition's own
float32 arithmetic, networks by their labels).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np


def record(path: Path, count: int, models: list[Path]) -> None:
    """Write `count` convolutions and the given models with their expected results."""
    from larq_dense.publishing.measure import bundled_picture
    from larq_dense.runtime import xnor
    from larq_dense.runtime.metadata import read_spec

    # isort: split
    import oracle
    from conv_cases import conv_cases
    from hypothesis import HealthCheck, given, settings
    from larq_compute_engine.tflite.python.interpreter import Interpreter

    arrays: dict[str, np.ndarray] = {}

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(conv_cases())
    def collect(case) -> None:  # type: ignore[no-untyped-def]
        numbers = case.numbers()
        model = case.model(numbers)
        if case.out == "float32":
            dot = oracle.activate(case.dot_products(numbers), case.activation)
            expected = oracle.affine(dot, numbers["multiplier"], numbers["bias"])
        else:
            lce = Interpreter(model, use_reference_bconv=True)
            expected = lce.interpreter.predict([numbers["x"]])[0]
        add(model, numbers["x"], expected, case.threads)

    def add(model: bytes, x: np.ndarray, expected: np.ndarray, threads: int) -> None:
        n = len(arrays) // 4
        arrays[f"model_{n}"] = np.frombuffer(model, np.uint8)
        arrays[f"x_{n}"] = x
        arrays[f"y_{n}"] = expected
        arrays[f"threads_{n}"] = np.asarray(threads)

    collect()
    for model in models:
        content = model.read_bytes()
        interpreter = xnor.load(content)
        spec = read_spec(content)
        if spec is None:
            raise SystemExit(f"{model} was not written by `larq-dense convert`.")
        for name in ("astronaut.png", "coffee.png"):
            x = spec.preprocessing(bundled_picture(name))
            add(content, x, interpreter.run(x), 1)
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(arrays) // 4} cases")


def replay(path: Path, library: str) -> int:
    """Run all cases with the delegate and return how many differ."""
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    cases = np.load(path)
    count = len(cases.files) // 4
    wrong = 0
    for n in range(count):
        interpreter = Interpreter(
            model_content=cases[f"model_{n}"].tobytes(),
            num_threads=int(cases[f"threads_{n}"]),
            experimental_delegates=[load_delegate(library)],
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], cases[f"x_{n}"])
        interpreter.invoke()
        got = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        expected = cases[f"y_{n}"]
        if cases[f"model_{n}"].size > 200_000:  # a whole network: float operators of others, too
            same = got.argmax(-1) == expected.argmax(-1)
            print(
                f"model {n}: {100 * same.mean():.4f} % of labels equal, largest difference "
                f"{np.abs(got - expected).max():.3g} of {np.abs(expected).max():.3g}"
            )
            wrong += bool(same.mean() < 1)
        elif not np.array_equal(got, expected):
            print(f"case {n} differs")
            wrong += 1
    print(f"{count} cases, {wrong} wrong")
    return wrong


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record")
    recorder.add_argument("cases", type=Path)
    recorder.add_argument("--count", type=int, default=200)
    recorder.add_argument("--model", type=Path, action="append", default=[])
    player = commands.add_parser("replay")
    player.add_argument("cases", type=Path)
    player.add_argument("--library", required=True)
    given = parser.parse_args()
    if given.command == "record":
        record(given.cases, given.count, given.model)
        return 0
    return 1 if replay(given.cases, given.library) else 0


if __name__ == "__main__":
    sys.exit(main())

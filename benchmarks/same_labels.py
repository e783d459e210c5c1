"""Compares the labels that every engine gives an entry's pictures, bit by bit.

Keras with oneDNN and without it, Larq Compute Engine's interpreter, and the XNOR runtime with each
instruction set of this machine.

    python benchmarks/same_labels.py ecssd --folder ../shared/data/duts --pictures 200
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]


@click.command()
@click.argument("entry")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--pictures", default=8, show_default=True, help="Evenly spread over the folder's.")
@click.option("--keras", type=click.Path(path_type=Path), hidden=True, help="Only Keras, into it.")
def main(entry: str, folder: Path, pictures: int, keras: Path | None) -> None:
    """Count the pixels at which an engine's label is not that of Keras with oneDNN."""
    found = sorted(path for path in (folder / "images").iterdir())
    chosen = [found[k * len(found) // pictures] for k in range(min(pictures, len(found)))]
    if keras:
        np.savez(keras, *_keras_labels(entry, chosen))
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = {f"Keras, oneDNN {flag}": Path(scratch) / f"{flag}.npz" for flag in ("1", "0")}
        for path in files.values():
            environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": path.stem}
            arguments = [*sys.argv, "--keras", str(path)]
            subprocess.run([sys.executable, *arguments], env=environment, check=True)
        labels = {name: list(np.load(path).values()) for name, path in files.items()}
    labels |= _file_labels(entry, chosen)
    expected, *_ = labels.values()
    pixels = sum(each.size for each in expected)
    print(f"{entry}: {len(chosen)} pictures of {folder.name}, {pixels:,} pixels")
    for name, given in labels.items():
        wrong = sum(int((a != b).sum()) for a, b in zip(given, expected, strict=True))
        print(f"  {name}: {wrong} labels differ")


def _keras_labels(entry: str, pictures: list[Path]) -> Iterator[Labels]:
    from larq_dense import Predictor, zoo

    predictor = Predictor(zoo.load(entry))
    yield from map(predictor.labels, pictures)


def _file_labels(entry: str, pictures: list[Path]) -> dict[str, list[Labels]]:
    from larq_dense import Predictor, zoo
    from larq_dense.runtime import LceInterpreter, read_spec, xnor

    file = zoo.find(entry).tflite()
    engines = {f"XNOR, {name}": xnor.load(file, 1, instruction_set=name) for name in _sets()}
    engines["LCE"] = LceInterpreter(file)
    predictors = {name: Predictor(each, read_spec(file)) for name, each in engines.items()}
    return {name: list(map(each.labels, pictures)) for name, each in predictors.items()}


def _sets() -> tuple[str, ...]:
    from larq_dense.runtime import xnor

    return tuple(xnor.instruction_sets()) if xnor.available() else ()


if __name__ == "__main__":
    main()

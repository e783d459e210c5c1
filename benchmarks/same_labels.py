"""Compares the labels that every engine gives an entry's pictures, bit by bit.

Keras with oneDNN and without it, Larq Compute Engine's interpreter, and the XNOR runtime with each
instruction set of this machine; of the int8 file also the engine, and its WebAssembly build in
Node.js.

    python benchmarks/same_labels.py ecssd --folder ../shared/data/duts --pictures 200
    make web
    python benchmarks/same_labels.py ecssd --folder ../shared/data/duts --pictures 50 --int8
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
from PIL import Image

WEB = Path(__file__).resolve().parents[1] / "web"

Labels = NDArray[np.uint8]


@click.command()
@click.argument("entry")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--pictures", default=8, show_default=True, help="Evenly spread over the folder's.")
@click.option("--int8", is_flag=True, help="Of the all-int8 variant.")
@click.option("--page", type=click.Path(path_type=Path), default=WEB / "dist", show_default=True)
@click.option("--keras", type=click.Path(path_type=Path), hidden=True, help="Only Keras, into it.")
def main(
    entry: str, folder: Path, pictures: int, int8: bool, page: Path, keras: Path | None
) -> None:
    """Count the pixels at which an engine's label is not that of Keras with oneDNN."""
    found = sorted(path for path in (folder / "images").iterdir())
    chosen = [found[k * len(found) // pictures] for k in range(min(pictures, len(found)))]
    if keras:
        np.savez(keras, *_keras_labels(entry, int8, chosen))
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = {f"Keras, oneDNN {flag}": Path(scratch) / f"{flag}.npz" for flag in ("1", "0")}
        for path in files.values():
            environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": path.stem}
            arguments = [*sys.argv, "--keras", str(path)]
            subprocess.run([sys.executable, *arguments], env=environment, check=True)
        labels = {name: list(np.load(path).values()) for name, path in files.items()}
    labels |= _file_labels(entry, int8, chosen)
    if int8:
        labels["browser build, Node.js"] = _web_labels(entry, page, chosen)
    expected, *_ = labels.values()
    pixels = sum(each.size for each in expected)
    print(f"{entry}{' int8' * int8}: {len(chosen)} pictures of {folder.name}, {pixels:,} pixels")
    for name, given in labels.items():
        wrong = sum(int((a != b).sum()) for a, b in zip(given, expected, strict=True))
        print(f"  {name}: {wrong} labels differ")


def _keras_labels(entry: str, int8: bool, pictures: list[Path]) -> Iterator[Labels]:
    from larq_dense import Predictor, zoo
    from larq_dense.runtime import read_spec

    model = zoo.load(entry, precision="int8") if int8 else zoo.load(entry)
    predictor = Predictor(model, read_spec(zoo.find(entry).tflite(int8=int8)))
    yield from map(predictor.labels, pictures)


def _file_labels(entry: str, int8: bool, pictures: list[Path]) -> dict[str, list[Labels]]:
    from larq_dense import Predictor, zoo
    from larq_dense.runtime import LceInterpreter, NativeInterpreter, XnorInterpreter, read_spec

    file = zoo.find(entry).tflite(int8=int8)
    kinds = {"XNOR": XnorInterpreter, **({"engine": NativeInterpreter} if int8 else {})}
    labels = {}
    for name in _sets():
        os.environ["LARQ_DENSE_XNOR_ISA"] = name
        for kind, interpreter in kinds.items():
            predictor = Predictor(interpreter(file), read_spec(file))
            labels[f"{kind}, {name}"] = list(map(predictor.labels, pictures))
    predictor = Predictor(LceInterpreter(file), read_spec(file))
    return {"LCE": list(map(predictor.labels, pictures)), **labels}


def _web_labels(entry: str, page: Path, pictures: list[Path]) -> list[Labels]:
    opened = [Image.open(path).convert("RGBA") for path in pictures]
    sizes = [str(side) for each in opened for side in each.size]
    script = WEB / "test" / "labels.mjs"
    done = subprocess.run(
        ["node", str(script), str(page), str(page / f"{entry}_int8.tflite"), *sizes],
        input=b"".join(each.tobytes() for each in opened),
        capture_output=True,
        check=True,
    )
    pixels = np.frombuffer(done.stdout, np.uint8)
    ends = np.cumsum([each.width * each.height for each in opened])
    parts = np.split(pixels, ends[:-1])
    return [part.reshape(each.size[::-1]) for part, each in zip(parts, opened, strict=True)]


def _sets() -> tuple[str, ...]:
    from larq_dense.runtime import xnor

    return tuple(xnor.instruction_sets()) if xnor.available() else ()


if __name__ == "__main__":
    main()

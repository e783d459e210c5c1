"""Compares the labels that every engine gives an entry's pictures, bit by bit.

Keras with oneDNN and without it, Larq Compute Engine's interpreter, the XNOR runtime with each
instruction set of this machine; of the int8 file also the engine and, with `--page`, its
WebAssembly build in Node.js. Label maps are kept in the folder `--kept`, so that a run that was
stopped resumes where it was.

    python benchmarks/same_labels.py ecssd --folder ../shared/data/ecssd --pictures 200
    make web
    python benchmarks/same_labels.py ecssd --folder ../shared/data/ecssd --int8 --page web/dist
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense import zoo
from larq_dense.common.files import atomic_write, sha256
from larq_dense.common.sampling import evenly_spaced
from larq_dense.zoo.entries import Entry

WEB = Path(__file__).resolve().parents[1] / "web"

Labels = NDArray[np.uint8]
Engine = Callable[[Path], Labels]

# Each group of engines runs in a process of its own, for TensorFlow reads the variable once.
GROUPS = {"Keras": "1", "Keras without oneDNN": "0", "files": "1"}


@click.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--pictures", default=200, show_default=True, help="Evenly spaced over the folder's.")
@click.option("--int8", is_flag=True, help="The entry's int8 variant.")
@click.option(
    "--kept",
    type=click.Path(path_type=Path),
    default="runs/same_labels",
    help="Folder of label maps.",
)
@click.option("--page", type=click.Path(path_type=Path, exists=True), help="By `make web`.")
@click.option("--group", type=click.Choice(list(GROUPS)), hidden=True, help="Only run this one.")
def main(
    name: str,
    folder: Path,
    pictures: int,
    int8: bool,
    kept: Path,
    page: Path | None,
    group: str | None,
) -> None:
    """Count the pixels at which an engine's label is not that of Keras with oneDNN."""
    entry = zoo.find(name)
    # Another file means other constants, and so other labels.
    digest = sha256(entry.tflite(int8).read_bytes())
    chosen = evenly_spaced(sorted((folder / "images").iterdir()), pictures)
    kept = kept / f"{name}_{digest[:12]}" / folder.name
    if group:
        _run(group, entry, int8, page, chosen, kept)
        return
    for each, flag in GROUPS.items():
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": flag}
        arguments = [sys.executable, *sys.argv, "--group", each]
        subprocess.run(arguments, env=environment, check=True)
    _report(f"{name}{' in int8' if int8 else ''}", folder, chosen, kept)


def _run(
    group: str, entry: Entry, int8: bool, page: Path | None, pictures: list[Path], kept: Path
) -> None:
    """Write the label maps that are missing."""
    missing = [picture for picture in pictures if not _path(kept, group, picture).exists()]
    if not missing:
        return
    engines = _file_engines(entry, int8) if group == "files" else _keras(group, entry, int8)
    if group == "files" and int8 and page is not None:
        engines["browser build, Node.js"] = partial(_web_labels, entry.name, page)
    for picture in missing:
        with atomic_write(_path(kept, group, picture)) as stream:
            np.savez_compressed(stream, **{name: run(picture) for name, run in engines.items()})


def _path(kept: Path, group: str, picture: Path) -> Path:
    return kept / group / f"{picture.stem}.npz"


def _keras(group: str, entry: Entry, int8: bool) -> dict[str, Engine]:
    from larq_dense import Predictor
    from larq_dense.runtime import read_spec

    model = zoo.load(entry.name, precision="int8" if int8 else "binary")
    return {group: Predictor(model, read_spec(entry.tflite(int8))).labels}


def _file_engines(entry: Entry, int8: bool) -> dict[str, Engine]:
    from larq_dense import Predictor
    from larq_dense.runtime import LceInterpreter, read_spec, xnor

    content = entry.tflite(int8).read_bytes()
    predictors = {"LCE": Predictor(LceInterpreter(content), read_spec(content))}
    for instruction_set in xnor.instruction_sets():
        os.environ["LARQ_DENSE_XNOR_ISA"] = instruction_set
        predictors[f"XNOR, {instruction_set}"] = Predictor(content, runtime="xnor")
        if int8:
            predictors[f"engine, {instruction_set}"] = Predictor(content, runtime="native")
    return {name: predictor.labels for name, predictor in predictors.items()}


def _web_labels(name: str, page: Path, picture: Path) -> Labels:
    opened = Image.open(picture).convert("RGBA")
    file = page / f"{name}_int8.tflite"
    done = subprocess.run(
        ["node", WEB / "test" / "labels.mjs", page, file, *map(str, opened.size)],
        input=opened.tobytes(),
        capture_output=True,
        check=True,
    )
    return np.frombuffer(done.stdout, np.uint8).reshape(opened.size[::-1])


def _report(title: str, folder: Path, pictures: Iterable[Path], kept: Path) -> None:
    """Print how many labels differ from those of Keras, for each engine."""
    wrong: dict[str, int] = {}
    pixels = count = 0
    for picture in pictures:
        maps = {}
        for group in GROUPS:
            with np.load(_path(kept, group, picture)) as found:
                maps.update(found)
        expected = maps.pop("Keras")
        pixels, count = pixels + expected.size, count + 1
        for name, labels in maps.items():
            wrong[name] = wrong.get(name, 0) + int((labels != expected).sum())
    print(f"{title}: {count} pictures of {folder.name}, {pixels:,} pixels")
    for name, differing in wrong.items():
        print(f"  {name}: {differing} labels differ from Keras'")


if __name__ == "__main__":
    main()

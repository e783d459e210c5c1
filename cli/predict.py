"""`larq-dense predict`: label pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from larq_dense.cli.options import FOLDER, json_option, runtime_option, threads_option

if TYPE_CHECKING:
    from larq_dense.runtime import Predictor

_DEFAULT_OUTPUT = Path("predictions")


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--output",
    type=FOLDER,
    help=f"Folder of the files written.  [default: {_DEFAULT_OUTPUT}, or none with --json]",
)
@click.option(
    "--save",
    type=click.Choice(["overlay", "mask"]),
    multiple=True,
    default=("overlay",),
    show_default=True,
    help="What to write for each picture; may be repeated.",
)
@click.option(
    "--entry",
    metavar="NAME",
    help="Zoo entry whose classes and normalization apply to a .tflite file that carries none.",
)
@runtime_option
@threads_option
@json_option
def command(
    model: str,
    images: tuple[str, ...],
    output: Path | None,
    save: tuple[str, ...],
    entry: str | None,
    runtime: Literal["auto", "native", "xnor", "lce"],
    threads: int,
    as_json: bool,
) -> None:
    """Label pictures with MODEL: a zoo entry, a run's folder or a .tflite file.

    IMAGE is a file, a folder or a glob. An overlay is the picture with the classes' colours over
    it; a mask is a PNG of the picture's size whose values are the classes' numbers. A picture that
    cannot be read is named, the others are labelled all the same, and the exit code is 1.

    \b
    Example:
      larq-dense predict cityscapes street.jpg 'drive/*.png' --output out/
      larq-dense predict ecssd.tflite photos/ --save mask --save overlay
      larq-dense predict ecssd photo.jpg --json
    """
    from larq_dense.cli.image_files import Names, expand
    from larq_dense.cli.output import print_json
    from larq_dense.common.errors import DataError, LarqDenseError
    from larq_dense.common.progress import progress

    pictures = expand(images)
    predictor = _predictor(model, entry, runtime, threads)
    folder = output or (None if as_json else _DEFAULT_OUTPUT)
    names = Names()
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for path in progress(pictures, "predicting"):
        try:
            rows.append(_label(predictor, path, folder, names.new(path.stem), save))
        except DataError as error:
            failed.append({"image": str(path), "error": str(error)})
    for failure in failed:
        click.echo(f"Warning: {failure['error']}", err=True)
    if as_json:
        print_json({"model": model, "task": predictor.spec.task, "images": rows, "failed": failed})
    else:
        _print(rows)
    if failed:
        raise LarqDenseError(
            f"{len(failed)} of {len(pictures)} pictures could not be read; replace or remove them."
        )


def _predictor(
    model: str, entry: str | None, runtime: Literal["auto", "native", "xnor", "lce"], threads: int
) -> "Predictor":
    from larq_dense.zoo.opening import is_file, open_predictor

    if entry is None:
        return open_predictor(model, runtime, threads).predictor
    if not is_file(model):
        raise click.UsageError(f"--entry is for a .tflite file; {model} has its own classes.")
    from larq_dense import zoo
    from larq_dense.runtime import Predictor

    return Predictor.from_tflite(model, threads, runtime, spec=zoo.find(entry).spec())


def _label(
    predictor: "Predictor", path: Path, folder: Path | None, name: str, save: tuple[str, ...]
) -> dict[str, Any]:
    """Label one picture, write what is asked for, and return a row about it."""
    import numpy as np

    from larq_dense.cli.image_files import write_png
    from larq_dense.common.images import overlay, read_image

    picture = read_image(path)
    labels = predictor.labels(picture)
    spec = predictor.spec
    counts = np.bincount(labels.ravel(), minlength=len(spec.classes))
    shares = dict(zip(spec.class_names, (counts / labels.size).tolist(), strict=True))
    height, width = labels.shape
    row: dict[str, Any] = {"image": str(path), "width": width, "height": height, "shares": shares}
    if folder is None:
        return row
    if "overlay" in save:
        row["overlay"] = str(folder / f"{name}_overlay.png")
        write_png(Path(row["overlay"]), overlay(picture, labels, spec.palette))
    if "mask" in save:
        row["mask"] = str(folder / f"{name}_mask.png")
        write_png(Path(row["mask"]), labels, spec.palette)
    return row


def _print(rows: list[dict[str, Any]]) -> None:
    from larq_dense.cli.output import print_table

    if not rows:
        return
    table = [
        [
            Path(row["image"]).name,
            ", ".join(f"{name} {100 * share:.1f} %" for name, share in row["shares"].items()),
            ", ".join(row[kind] for kind in ("overlay", "mask") if kind in row),
        ]
        for row in rows
    ]
    print_table(["picture", "share of the pixels", "written"], table)

"""`larq-dense demo`: two entries on real pictures, from prediction to the converted file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from larq_dense.cli.image_files import Names
from larq_dense.cli.options import FILE, FOLDER, count_option, json_option
from larq_dense.cli.output import print_json, print_table
from larq_dense.common.quiet import import_tensorflow, without_chatter
from larq_dense.zoo.entries import Entry, file_name, find
from larq_dense.zoo.opening import open_baseline, open_int8, open_keras

if TYPE_CHECKING:
    from larq_dense.latency.benchmark import Timing

_ENTRIES = ("cityscapes", "ecssd")
_STREETS = ("camvid", "idd_lite")


@click.command()
@click.option(
    "--image", "images", type=FILE, multiple=True, metavar="FILE", help="Your own picture."
)
@click.option(
    "--output",
    type=FOLDER,
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="Folder for overlays and converted files.",
)
@count_option("--repeats", 20, help="Timed runs.")
@json_option
def command(images: tuple[Path, ...], output: Path, repeats: int, as_json: bool) -> None:
    """Try the entries cityscapes and ecssd on real pictures.

    Predicts and writes overlays, converts the int8 form of both with Larq Compute Engine, runs the
    converted files on the same pictures, and prints how they compare with Keras and with the
    full-precision baseline.
    Without --image it takes pictures that come with scikit-image, and street frames from
    ../shared/data (or the folder in LARQ_DENSE_DATA) where there are any.

    \b
    Example:
      larq-dense demo --image street.jpg --output demo
    """
    import_tensorflow()
    rows = [_try_entry(name, images or _pictures(name), output, repeats) for name in _ENTRIES]
    if as_json:
        print_json(rows)
        return
    columns = ["entry", "task", "metric", "OPs", "bytes", "same labels as Keras"]
    columns += [f"ms {engine}" for engine in rows[0]["milliseconds"]]
    table = [
        [
            row["entry"],
            row["task"],
            row["metric"],
            f"{row['ops'] / 1e6:.0f} M",
            row["bytes"],
            f"{100 * row['same_labels']:.3f} %",
            *(f"{value:.1f}" for value in row["milliseconds"].values()),
        ]
        for row in rows
    ]
    print_table(columns, table)
    click.echo(f"\nOverlays and converted files are in {output}/. Times are on one thread.")


def _try_entry(name: str, images: tuple[Path, ...], output: Path, repeats: int) -> dict[str, Any]:
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import float_tflite
    from larq_dense.publishing.measure import complexity_totals, time_files
    from larq_dense.runtime import Predictor

    entry, variant = find(name), open_int8(name)
    model = open_keras(name)[0] if variant is None else variant
    predictor = Predictor.from_keras(model)
    names = Names()
    written = [_write_overlay(predictor, image, output, names) for image in images]
    click.echo("\n".join(f"wrote {path}" for path in written), err=True)
    click.echo(f"converting {name} and its baseline, and timing both", err=True)
    with without_chatter():
        converted = convert(model, images=images)
        baseline = open_baseline(name)
        timings = time_files(
            baseline.input_shape[1:],
            repeats,
            binary_file=converted.content,
            float_file=float_tflite(baseline),
        )
    assert converted.parity is not None
    converted.save(output / file_name(name, int8=variant is not None))
    return {
        "entry": name,
        "task": entry.task().title,
        "metric": _published_metric(entry if variant is None else entry.int8()),
        "ops": complexity_totals(model)["ops"],
        "bytes": len(converted.content),
        "same_labels": converted.parity.same_labels,
        "milliseconds": _milliseconds(timings),
        "overlays": written,
    }


def _write_overlay(predictor: Any, image: Path, output: Path, names: Names) -> Path:
    from larq_dense.common.files import write_bytes
    from larq_dense.common.images import read_image
    from larq_dense.runtime.outputs import Outputs

    picture = read_image(image)
    path = output / f"{names.new(f'{predictor.spec.name}-{image.stem}')}.png"
    for _, _, content in Outputs(predictor.spec).files(picture, predictor.predict(picture)):
        write_bytes(path, content)
    return path


def _published_metric(entry: Entry) -> str:
    """Return what the card says of the accuracy on the first validation source."""
    from larq_dense.common.markdown import METRIC_TITLES, format_metric
    from larq_dense.zoo.provenance import data_set

    metric, row = entry.task().main_metric, entry.metrics()["accuracy"][0]
    value = format_metric(metric, row["metrics"][metric])
    return f"{METRIC_TITLES[metric]} {value} on {data_set(row['data']).title}"


def _milliseconds(timings: "list[Timing]") -> dict[str, float]:
    """Return the medians: LCE's fastest kernel, the native runtime if it is there, the baseline."""
    taken = {timing.candidate.engine: timing.median for timing in timings}
    lce = min(value for engine, value in taken.items() if engine.startswith("LCE"))
    others = {engine: value for engine, value in taken.items() if not engine.startswith("LCE")}
    return {"LCE": lce, **others}


def _pictures(name: str) -> tuple[Path, ...]:
    """Return pictures that suit an entry and are on this machine."""
    from larq_dense.publishing.measure import bundled_picture

    if name == "ecssd":
        return (bundled_picture("chelsea.png"), bundled_picture("astronaut.png"))
    frames = _street_frames()
    if not frames:
        click.echo(
            "No street frames here, so cityscapes gets a motorcycle on a floor; try "
            "--image with a street of your own.",
            err=True,
        )
    return frames or (bundled_picture("motorcycle_left.png"),)


def _street_frames() -> tuple[Path, ...]:
    """Return the first validation frame of each street data set that is here."""
    from larq_dense import tasks

    root = Path(os.environ.get("LARQ_DENSE_DATA", "../shared/data"))
    task = tasks.get("cityscapes")
    folders = [root / name for name in _STREETS if (root / name).is_dir()]
    return tuple(task.samples(folder, "val")[0].image for folder in folders)

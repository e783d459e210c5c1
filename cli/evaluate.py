"""`larq-dense evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from larq_dense.cli.options import (
    FOLDER,
    Precision,
    Runtime,
    data_option,
    json_option,
    labels_option,
    measured_precision_option,
    runtime_option,
    split_option,
    threads_option,
    tile_option,
    tta_option,
)
from larq_dense.cli.output import print_json, print_table
from larq_dense.common.progress import progress

if TYPE_CHECKING:
    from larq_dense.evaluation import Evaluation


@click.command()
@click.argument("model")
@data_option(help="Folder of the data set: as published, or images/, masks/ and lists.")
@split_option
@click.option("--within", metavar="LIST", help="Only pictures that are also on this list.")
@labels_option
@click.option("--output", type=FOLDER, metavar="DIR", help="Write figures and pictures here.")
@tile_option
@tta_option
@measured_precision_option
@runtime_option
@threads_option
@json_option
def command(
    model: str,
    data: Path,
    split: str,
    within: str | None,
    labels: str | None,
    output: Path | None,
    tile: int | None,
    tta: bool,
    precision: Precision | None,
    runtime: Runtime,
    threads: int,
    as_json: bool,
) -> None:
    """Measure MODEL on labelled pictures.

    MODEL is an entry's name, a .tflite file, or a run's folder. --output writes metrics.json,
    per_class.csv, confusion.png, and the worst and best pictures as worst.jpg and best.jpg.

    \b
    Example:
      larq-dense evaluate cityscapes --data idd_lite --split val --output report
      larq-dense evaluate ecssd.tflite --data objects --split val --within salient_like --json
      larq-dense evaluate camvid --data camvid --split val --tta
      larq-dense evaluate camvid --data camvid --split val --precision int8
    """
    from larq_dense.common.files import prepare_folder
    from larq_dense.evaluation import measure
    from larq_dense.evaluation.report import write_report
    from larq_dense.zoo.opening import open_predictor

    opened = open_predictor(model, runtime, threads, tile, tta, precision, usual="binary")
    predictor, task = opened.predictor, opened.task
    samples = task.samples(data, split, labels=labels, within=within)
    if output is not None:
        prepare_folder(output)
    evaluation = measure(predictor, task, progress(samples, "evaluating"))
    document = {
        **evaluation.to_dict(),
        "model": model,
        "precision": opened.precision,
        "task": task.name,
        "data": str(data),
        "split": split,
        "within": within,
        "tile": tile,
        "tta": tta,
    }
    files = write_report(output, evaluation, document, predictor, task) if output else []
    if as_json:
        print_json(document)
        return
    click.echo(f"{predictor.spec.name}: {task.title}")
    click.echo(f"{data}, {split}: {evaluation.images} pictures")
    click.echo()
    _print_tables(evaluation)
    for path in files:
        click.echo(f"wrote {path}")


def _print_tables(evaluation: "Evaluation") -> None:
    print_table(("metric", "value"), evaluation.metrics.items())
    for title, scores in (("class", evaluation.per_class), ("category", evaluation.per_category)):
        if scores:
            columns = list(next(iter(scores.values())))
            click.echo()
            print_table((title, *columns), [(name, *row.values()) for name, row in scores.items()])

"""`larq-dense robustness`."""

from functools import partial
from pathlib import Path

import click

from larq_dense.cli.options import (
    Precision,
    Runtime,
    count_option,
    data_option,
    json_option,
    labels_option,
    measured_precision_option,
    runtime_option,
    split_option,
    threads_option,
)
from larq_dense.cli.output import print_json, print_table
from larq_dense.common.progress import progress


@click.command()
@click.argument("model")
@data_option(help="Folder of the data set: as published, or images/, masks/ and lists.")
@split_option
@labels_option
@count_option("--limit", 50, help="Pictures, evenly spaced over the split.")
@measured_precision_option
@runtime_option
@threads_option
@json_option
def command(
    model: str,
    data: Path,
    split: str,
    labels: str | None,
    limit: int,
    precision: Precision | None,
    runtime: Runtime,
    threads: int,
    as_json: bool,
) -> None:
    """Measure MODEL on noisy, blurred, badly lit and compressed pictures.

    MODEL is an entry's name, a .tflite file, or a run's folder. Each picture is corrupted in nine
    ways at severities 1 to 5, and the task's main metric is printed for each.

    \b
    Example:
      larq-dense robustness ecssd --data duts --split val --labels binary
    """
    from larq_dense.common.sampling import evenly_spaced
    from larq_dense.evaluation import measure_robustness
    from larq_dense.zoo.opening import open_predictor

    opened = open_predictor(model, runtime, threads, precision=precision, usual="binary")
    samples = evenly_spaced(opened.task.samples(data, split, labels=labels), limit)
    found = measure_robustness(
        opened.predictor, opened.task, samples, watch=partial(progress, text="corrupting")
    )
    if as_json:
        about = {"model": model, "precision": opened.precision, "data": str(data), "split": split}
        print_json({**about, **found})
        return
    click.echo(f"{model}: {found['metric']} on {found['images']} pictures of {data}, {split}")
    click.echo()
    columns = ("corruption", *(f"severity {each}" for each in found["severities"]))
    print_table(columns, [(name, *values) for name, values in found["corrupted"].items()])
    click.echo()
    click.echo(f"clean {found['clean']:.4f}, mean of the corrupted {found['mean']:.4f}")

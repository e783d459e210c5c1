"""`larq-dense frontier`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from larq_dense.cli.options import FILE, FOLDER, count_option, json_option
from larq_dense.cli.output import prepare_plot, print_json, print_table
from larq_dense.common.progress import progress
from larq_dense.common.threads import MAX_THREADS

if TYPE_CHECKING:
    from larq_dense.latency.frontier import Point


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", type=FOLDER, help="Data root: measure accuracy, too.")
@count_option("--limit", help="At most so many pictures.")
@count_option(
    "--threads",
    [1, 2],
    most=MAX_THREADS,
    multiple=True,
    help="Numbers of threads; may be repeated.",
)
@count_option("--repeats", 30, help="Timed runs of each file; the table shows the least.")
@click.option("--plot", type=FILE, metavar="FILE", help="Draw it as a PNG, SVG or PDF.")
@json_option
def command(
    models: tuple[str, ...],
    data: Path | None,
    limit: int | None,
    threads: tuple[int, ...],
    repeats: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Hold networks of one task against each other: accuracy over milliseconds.

    MODEL is an entry's name, a run's folder, or a recipe's .yaml file, whose network has random
    weights and so only a time. Each is converted, a binary network to int8 and with float between
    its binary layers, a full-precision one to float32 and int8; int8 ranges are taken from training
    pictures. All files are measured on the validation pictures of the first MODEL's recipe, and
    timed in turn: on this machine, and by a cost model on Arm cores (docs/frontier.md).

    \b
    Examples:
      larq-dense frontier recipes/camvid/*.yaml
      larq-dense frontier ecssd runs/ecssd_* --data . --plot frontier.png
    """
    from larq_dense.common.machine import describe_machine
    from larq_dense.experiments.frontier import measure
    from larq_dense.latency.frontier import in_words
    from larq_dense.runtime.library import chosen_instruction_set

    if limit is not None and data is None:
        raise click.UsageError("--limit is for the pictures of --data, which is missing.")
    if plot is not None:
        if data is None:
            raise click.UsageError("--plot draws accuracy over time, so it needs --data.")
        prepare_plot(plot)
    counts = tuple(dict.fromkeys(threads))
    points, metric = measure(models, data, limit, counts, repeats, progress)
    columns = list(points[0].milliseconds)
    document = {
        "machine": describe_machine(),
        "instruction_set": chosen_instruction_set(),
        "metric": metric,
        "repeats": repeats,
        "points": [point.to_dict() for point in points],
        "in_words": [sentence for column in columns for sentence in in_words(points, column)],
    }
    if plot is not None:
        from larq_dense.latency.frontier_plot import plot_frontier

        plot_frontier(points, metric, plot)
    if as_json:
        print_json(document)
        return
    _print(document, points, columns)


def _print(document: dict[str, Any], points: "list[Point]", columns: list[str]) -> None:
    click.echo(f"{document['machine']['cpu']}, {document['instruction_set']}")
    rows = [
        (point.model, point.form, point.metric, *(point.milliseconds[c] for c in columns))
        for point in sorted(points, key=lambda point: point.milliseconds[columns[0]])
    ]
    print_table(["model", "form", document["metric"], *(f"ms, {c}" for c in columns)], rows)
    for sentence in document["in_words"]:
        click.echo(sentence)

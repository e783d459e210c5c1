"""`larq-dense benchmark`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from larq_dense.cli.models import is_file, open_keras, open_predictor, open_twin
from larq_dense.cli.options import FILE, json_option
from larq_dense.cli.output import print_json, print_table
from larq_dense.cli.progress import progress
from larq_dense.common.errors import LarqDenseError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from larq_dense.evaluation.benchmark import Candidate
    from larq_dense.runtime import ModelSpec

_PICTURES = 4
"""Random pictures that set the int8 twin's ranges; they change nothing in its speed."""


class _SpreadThreads(click.Command):
    """Accepts `--threads 1 2` for `--threads 1 --threads 2`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further number."""
        spread: list[str] = []
        counting = False
        for arg in args:
            if counting and arg.isdigit() and spread[-1] != "--threads":
                spread.append("--threads")
            counting = arg == "--threads" or (counting and arg.isdigit())
            spread.append(arg)
        return super().parse_args(ctx, spread)


@click.command(cls=_SpreadThreads)
@click.argument("model")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    multiple=True,
    default=[1],
    show_default=True,
    metavar="N [N ...]",
    help="Numbers of threads to time each .tflite with.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Timed runs of each engine; the table shows their median.",
)
@click.option("--plot", type=FILE, metavar="FILE", help="Draw the table as a PNG, SVG or PDF.")
@json_option
def command(
    model: str, threads: tuple[int, ...], repeats: int, plot: Path | None, as_json: bool
) -> None:
    """Time MODEL on every engine that can run it, side by side.

    MODEL is an entry's name, a run's folder or a .tflite file. An entry or a run is timed in
    Keras, in Larq Compute Engine with each of its kernels, and beside its full-precision twin in
    TensorFlow Lite (XNNPACK) as float32 and as int8; a .tflite file in Larq Compute Engine only.
    The native XNOR runtime joins where it was built. The engines take turns in one process; a
    run is from the normalized picture to logits. The twins have random weights: they tell
    latency, not accuracy.

    \b
    Example:
      larq-dense benchmark cityscapes --threads 1 2 --plot latency.png
    """
    from larq_dense.evaluation.benchmark import time_interleaved, to_rows
    from larq_dense.evaluation.machine import describe_machine
    from larq_dense.evaluation.plots import check_plot_path, plot_timings
    from larq_dense.evaluation.report import prepare_folder

    if plot is not None:
        check_plot_path(plot)
        prepare_folder(plot.parent)
    forms = _forms(model, tuple(dict.fromkeys(threads)))
    picture = _random_pictures(forms.spec, 1)[0]
    watch = partial(progress, text="timing")
    timings = time_interleaved(forms.entrants, picture, repeats, watch)
    machine = describe_machine()
    height, width = picture.shape[1:3]
    if plot is not None:
        title = f"{forms.spec.name}, {width}x{height}, {machine['cpu']}"
        plot_timings(timings, title, plot)
    document = {
        "model": model,
        "input": [height, width],
        "repeats": repeats,
        "machine": machine,
        "complexity": forms.complexity,
        "timings": to_rows(timings),
    }
    if as_json:
        print_json(document)
        return
    _print(document)
    if plot is not None:
        click.echo(f"wrote {plot}")


class _Forms(NamedTuple):
    """A network in every form that there is, its cost, and the ways to run it."""

    spec: "ModelSpec"
    complexity: dict[str, dict[str, Any]]
    entrants: "list[Candidate]"


def _forms(model: str, threads: tuple[int, ...]) -> _Forms:
    from larq_dense.evaluation.benchmark import candidates

    if is_file(model):
        spec = open_predictor(model).spec
        content = Path(model).read_bytes()
        return _Forms(spec, {}, candidates(threads, binary_file=content))
    from larq_dense.conversion import convert
    from larq_dense.evaluation import complexity
    from larq_dense.evaluation.twins import float_tflite, int8_tflite
    from larq_dense.models import binary_layers

    keras, _ = open_keras(model)
    if not binary_layers(keras):
        raise LarqDenseError(f"{model} is a full-precision network; name its binary counterpart.")
    twin = open_twin(model)
    entrants = candidates(
        threads,
        keras=keras,
        binary_file=convert(keras).content,
        float_file=float_tflite(twin),
        int8_file=int8_tflite(twin, _random_pictures(keras.spec, _PICTURES)),
    )
    costs = {"binary": complexity(keras).totals(), "float": complexity(twin).totals()}
    return _Forms(keras.spec, costs, entrants)


def _random_pictures(spec: "ModelSpec", count: int) -> "list[NDArray[np.float32]]":
    import numpy as np

    random = np.random.default_rng(0)
    shape = (spec.preprocessing.height, spec.preprocessing.width, 3)
    pictures = random.integers(0, 256, (count, *shape), np.uint8)
    return [spec.preprocessing(picture) for picture in pictures]


def _print(document: dict[str, Any]) -> None:
    machine, (height, width) = document["machine"], document["input"]
    click.echo(
        f"{machine['cpu']}, {machine['cores']} cores: {' '.join(machine['instruction_sets'])}"
    )
    click.echo(
        f"TensorFlow {machine['tensorflow']}, Larq Compute Engine "
        f"{machine['larq_compute_engine']}, {machine['system']}"
    )
    click.echo()
    if document["complexity"]:
        _print_complexity(document["complexity"])
    rows = [
        (
            row["engine"],
            row["network"],
            row["threads"] or "TensorFlow's",
            row["bytes"],
            row["median_ms"],
            f"{row['p10_ms']:.2f} to {row['p90_ms']:.2f}",
            row["ratio_to_float32"],
        )
        for row in document["timings"]
    ]
    columns = ("engine", "network", "threads", "bytes", "median ms", "10 to 90 %", "x float32 twin")
    click.echo(
        f"{document['model']} at {width}x{height}, {document['repeats']} interleaved repeats"
    )
    print_table(columns, rows)


def _print_complexity(networks: dict[str, dict[str, Any]]) -> None:
    columns = ("network", "OPs", "binary MACs", "float MACs", "parameters", "bytes")
    keys = ("ops", "binary_macs", "float_macs", "parameters", "stored_bytes")
    click.echo("computed and stored for one picture")
    rows = [(name, *(f"{cost[key]:,.0f}" for key in keys)) for name, cost in networks.items()]
    print_table(columns, rows)
    click.echo()

"""`larq-dense benchmark`."""

from pathlib import Path
from typing import Any

import click

from larq_dense.cli.options import FILE, count_option, json_option
from larq_dense.cli.output import prepare_plot, print_json, print_table
from larq_dense.common.threads import MAX_THREADS

_VERSIONS = {
    "tensorflow": "TensorFlow",
    "larq_compute_engine": "Larq Compute Engine",
    "litert": "LiteRT",
    "tflite": "TensorFlow Lite",
}
"""What `machine` may hold a version of."""


class _ManyThreads(click.Command):
    """Accepts `--threads 1 2` for `--threads 1 --threads 2`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further number."""
        repeated: list[str] = []
        counting = False
        for arg in args:
            if counting and arg.isdigit() and repeated[-1] != "--threads":
                repeated.append("--threads")
            counting = arg == "--threads" or (counting and arg.isdigit())
            repeated.append(arg)
        return super().parse_args(ctx, repeated)


@click.command(cls=_ManyThreads)
@click.argument("model")
@count_option(
    "--threads",
    [1],
    most=MAX_THREADS,
    multiple=True,
    metavar="N [N ...]",
    help="Numbers of threads to time each .tflite with.",
)
@count_option("--repeats", 20, help="Timed runs of each engine; the table shows their median.")
@click.option("--device", type=click.Choice(["adb"]), help="Time on a connected Android phone.")
@click.option(
    "--litert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="LiteRT for the phone: the .aar of com.google.ai.edge.litert:litert, which Gradle has "
    "cached or maven.google.com offers, or the library in it.",
)
@click.option(
    "--serial",
    envvar="ANDROID_SERIAL",
    show_envvar=True,
    help="Which phone, where several are connected.",
)
@click.option("--plot", type=FILE, metavar="FILE", help="Draw the table as a PNG, SVG or PDF.")
@json_option
def command(
    model: str,
    threads: tuple[int, ...],
    repeats: int,
    device: str | None,
    litert: Path | None,
    serial: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Time MODEL on every engine that can run it, side by side.

    MODEL is an entry's name, a run's folder or a .tflite file. A .tflite file is timed in the
    native XNOR runtime and in Larq Compute Engine with each of its kernels, as far as they are
    installed; an entry or a run also in Keras, and so is its full-precision baseline in TensorFlow
    Lite (XNNPACK) as float32 and as int8. A full-precision run is timed in Keras and, in both
    forms, in TensorFlow Lite. The engines take turns in one process; a run is from
    the normalized picture to logits. The baselines have random weights: they tell latency, not
    accuracy.

    On a phone the XNOR runtime and the baselines are timed, by a program that is built for it
    first. That takes adb and Android's NDK, which ANDROID_NDK_HOME names.

    \b
    Examples:
      larq-dense benchmark cityscapes --threads 1 2 --plot latency.png
      larq-dense benchmark cityscapes --device adb --litert litert-1.4.1.aar
    """
    if (device is None) != (litert is None):
        raise click.UsageError("--device adb and --litert FILE go together.")
    if plot is not None:
        prepare_plot(plot)
    from larq_dense.latency.measure import measure_here, measure_on_phone

    counts = tuple(dict.fromkeys(threads))
    measured = (
        measure_here(model, counts, repeats)
        if litert is None
        else measure_on_phone(model, counts, repeats, litert, serial)
    )
    if plot is not None:
        measured.plot(plot)
    document = measured.to_dict()
    if as_json:
        print_json(document)
        return
    _print(document)
    if plot is not None:
        click.echo(f"wrote {plot}")


def _print(document: dict[str, Any]) -> None:
    machine, (height, width) = document["machine"], document["input"]
    click.echo(
        f"{machine['cpu']}, {machine['cores']} cores: {' '.join(machine['instruction_sets'])}"
    )
    versions = [f"{name} {machine[key]}" for key, name in _VERSIONS.items() if machine.get(key)]
    click.echo(", ".join([*versions, machine["system"]]))
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
    columns = (
        "engine",
        "network",
        "threads",
        "bytes",
        "median ms",
        "10 to 90 %",
        "x float32 baseline",
    )
    click.echo(
        f"{document['model']} at {width}x{height}, {document['repeats']} interleaved repeats"
    )
    print_table(columns, rows)
    for sentence in document["left_out"]:
        click.echo(sentence)
    if document["label_agreement"] is not None:
        share = 100 * document["label_agreement"]
        click.echo(f"The phone's labels equal this machine's at {share:.2f} % of the pixels.")


def _print_complexity(networks: dict[str, dict[str, Any]]) -> None:
    columns = ("network", "OPs", "binary MACs", "float MACs", "parameters", "bytes")
    keys = ("ops", "binary_macs", "float_macs", "parameters", "stored_bytes")
    click.echo("computed and stored for one picture")
    rows = [(name, *(f"{cost[key]:,.0f}" for key in keys)) for name, cost in networks.items()]
    print_table(columns, rows)
    click.echo()

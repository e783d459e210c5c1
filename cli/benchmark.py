"""`larq-dense benchmark`."""

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from larq_dense.cli.options import FILE, json_option
from larq_dense.cli.output import prepare_plot, print_json, print_table
from larq_dense.common.errors import LarqDenseError
from larq_dense.common.progress import progress
from larq_dense.zoo.opening import is_file, open_baseline, open_int8, open_keras, open_predictor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from larq_dense.latency.benchmark import Timing
    from larq_dense.runtime import ModelSpec

_PICTURES = 4
"""Random pictures that set the int8 baseline's ranges; they change nothing in its speed."""
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
    installed; an entry or a run also in Keras, and beside its full-precision baseline in TensorFlow
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
    from larq_dense.latency.benchmark import to_rows

    if (device is None) != (litert is None):
        raise click.UsageError("--device adb and --litert FILE go together.")
    if plot is not None:
        prepare_plot(plot)
    counts = tuple(dict.fromkeys(threads))
    measured = (
        _measure_here(model, counts, repeats)
        if litert is None
        else _measure_on_phone(model, counts, repeats, litert, serial)
    )
    spec = measured.forms.spec
    height, width = spec.preprocessing.height, spec.preprocessing.width
    if plot is not None:
        from larq_dense.latency.plot import plot_timings

        title = f"{spec.name}, {width}x{height}, {measured.machine['cpu']}"
        plot_timings(measured.timings, title, plot)
    document = {
        "model": model,
        "input": [height, width],
        "repeats": repeats,
        "machine": measured.machine,
        "complexity": measured.forms.complexity,
        "timings": to_rows(measured.timings),
        "left_out": measured.left_out,
        "label_agreement": measured.label_agreement,
    }
    if as_json:
        print_json(document)
        return
    _print(document)
    if plot is not None:
        click.echo(f"wrote {plot}")


class _Forms(NamedTuple):
    """A network in every form that there is, and its cost."""

    spec: "ModelSpec"
    complexity: dict[str, dict[str, Any]]
    binary_file: bytes | None
    float_file: bytes | None = None
    int8_file: bytes | None = None
    quantized_file: bytes | None = None
    keras: Any = None


class _Measured(NamedTuple):
    """What was timed, where, and what was not; agreement is that of a phone with this machine."""

    forms: _Forms
    timings: "list[Timing]"
    machine: dict[str, Any]
    left_out: list[str]
    label_agreement: float | None = None


def _measure_here(model: str, threads: tuple[int, ...], repeats: int) -> _Measured:
    from larq_dense.common.machine import describe_machine
    from larq_dense.latency.benchmark import candidates, left_out, time_interleaved

    forms = _forms(model)
    entrants = candidates(
        threads,
        keras=forms.keras,
        binary_file=forms.binary_file,
        float_file=forms.float_file,
        int8_file=forms.int8_file,
        quantized_file=forms.quantized_file,
    )
    picture = _random_pictures(forms.spec, 1)[0]
    timings = time_interleaved(entrants, picture, repeats, partial(progress, text="timing"))
    return _Measured(forms, timings, describe_machine(), left_out())


def _measure_on_phone(
    model: str, threads: tuple[int, ...], repeats: int, litert: Path, serial: str | None
) -> _Measured:
    from larq_dense import runtime
    from larq_dense.latency.adb import connect
    from larq_dense.latency.phone import (
        build_kit,
        label_agreement,
        phone_candidates,
        time_on_phone,
    )
    from larq_dense.runtime.metadata import parse

    # First what fails at once: the phone, the NDK, LiteRT.
    phone = connect(serial)
    with tempfile.TemporaryDirectory() as folder:
        kit = build_kit(phone, litert, Path(folder))
        forms = _forms(model)
        if forms.binary_file is None:
            raise LarqDenseError(
                f"{model} is a full-precision network; name its binary counterpart, beside which "
                "it is timed."
            )
        if parse(forms.binary_file).inputs[0].dtype == "int8":
            raise LarqDenseError(
                f"{model} takes int8 pictures, which the program on the phone does not have; name "
                "a network with float between its binary layers."
            )
        entrants = phone_candidates(
            threads,
            binary_file=forms.binary_file,
            float_file=forms.float_file,
            int8_file=forms.int8_file,
        )
        picture = _random_pictures(forms.spec, 1)[0]
        run = time_on_phone(phone, kit, entrants, picture, repeats)
    here = runtime.load(forms.binary_file).run(picture)
    agreement = label_agreement(here, run.output.reshape(here.shape))
    left_out = ["Keras and Larq Compute Engine's kernels are left out: no phone's LiteRT has them."]
    return _Measured(forms, run.timings, run.machine, left_out, agreement)


def _forms(model: str) -> _Forms:
    if is_file(model):
        return _file_forms(Path(model))
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import float_tflite, int8_tflite
    from larq_dense.evaluation import complexity
    from larq_dense.models import binary_layers
    from larq_dense.quantization import is_quantized

    keras, _ = open_keras(model)
    pictures = _random_pictures(keras.spec, _PICTURES)
    if not binary_layers(keras):
        cost = {"float": complexity(keras).totals()}
        files = float_tflite(keras), int8_tflite(keras, pictures)
        return _Forms(keras.spec, cost, None, *files, keras=keras)
    baseline, file = open_baseline(model), convert(keras).content
    quantized_file = file if is_quantized(keras) else None
    if quantized_file is None and (variant := open_int8(model)) is not None:
        quantized_file = convert(variant).content
    return _Forms(
        keras.spec,
        {"binary": complexity(keras).totals(), "float": complexity(baseline).totals()},
        file,
        float_tflite(baseline),
        int8_tflite(baseline, pictures),
        quantized_file,
        keras,
    )


def _file_forms(path: Path) -> _Forms:
    """Return a file as what it is: for the binary engines, or for TensorFlow Lite alone."""
    from larq_dense.runtime.metadata import parse

    spec, content = open_predictor(str(path)).spec, path.read_bytes()
    file = parse(content)
    if any(each.custom_name for each in file.operators):
        return _Forms(spec, {}, content)
    int8 = file.inputs[0].dtype == "int8"
    return _Forms(spec, {}, None, **{"int8_file" if int8 else "float_file": content})


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

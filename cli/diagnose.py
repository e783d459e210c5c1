"""`larq-dense diagnose`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from larq_dense.cli.measure import spread
from larq_dense.cli.models import open_keras
from larq_dense.cli.options import FOLDER, data_option, json_option
from larq_dense.cli.output import print_json, print_table
from larq_dense.cli.progress import progress
from larq_dense.common.errors import LarqDenseError

Latency = dict[str, dict[int, float]]
"""Milliseconds by the number of branches, by what ran."""

_LAYER = "layer, 1 thread"
_QUESTIONS = {
    "branch_errors": "The branches' errors are independent and average out",
    "attention": "The attention's masks choose",
    "parallelism": "K branches cost less than K times one",
}


@click.command()
@click.argument("model")
@data_option(help="Folder of the data set: as published, or images/, masks/ and lists.")
@click.option("--split", required=True, metavar="NAME", help="Split to look at, such as val.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Pictures, spread over the split.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Timed runs for each number of branches.",
)
@click.option("--output", type=FOLDER, metavar="DIR", help="Write diagnosis.json and .png here.")
@json_option
def command(
    model: str,
    data: Path,
    split: str,
    limit: int,
    repeats: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Check on MODEL why its method should work.

    MODEL is an entry's name or a run's folder. Three checks: whether the binarization errors of
    parallel branches are independent and average out; whether the attention's masks choose, or are
    uniform; whether K branches cost less than K times one. docs/diagnostics.md defines the figures
    and the criteria.

    \b
    Example:
      larq-dense diagnose cityscapes --data idd_lite --split val --output report
    """
    from larq_dense.common.files import write_json
    from larq_dense.common.machine import describe_machine
    from larq_dense.evaluation import attention_masks, branch_errors, parallelism
    from larq_dense.evaluation.diagnosis_plot import plot_diagnosis
    from larq_dense.evaluation.report import prepare_folder

    network, task = open_keras(model)
    _check_binary(model)
    samples = spread(task.samples(data, split), limit)
    if output is not None:
        prepare_folder(output)
    pictures = [network.spec.preprocessing(sample.image) for sample in progress(samples, "reading")]
    errors = branch_errors.branch_errors(network, pictures)
    masks = attention_masks.mask_use(network, pictures)
    latency = _latency(model, repeats)
    document = {
        "model": model,
        "data": str(data),
        "split": split,
        "images": len(pictures),
        "machine": describe_machine(),
        "branch_errors": {
            "verdict": branch_errors.verdict(errors) if errors else None,
            "layers": [asdict(each) | {"independent": each.independent} for each in errors],
        },
        "attention": {
            "verdict": attention_masks.verdict(masks) if masks else None,
            "parts": [asdict(each) for each in masks],
        },
        "parallelism": {
            "verdict": parallelism.verdict(latency[_LAYER]),
            "repeats": repeats,
            "milliseconds": latency,
            "relative_cost": {
                name: parallelism.relative_cost(times) for name, times in latency.items()
            },
        },
    }
    if output is not None:
        write_json(output / "diagnosis.json", document)
        plot_diagnosis(errors, masks, latency, model, output / "diagnosis.png")
    if as_json:
        print_json(document)
        return
    _print(document)
    if output is not None:
        click.echo(f"wrote {output / 'diagnosis.json'} and {output / 'diagnosis.png'}")


def _check_binary(model: str) -> None:
    """Refuse what the checks do not apply to.

    Raises:
        LarqDenseError: The network is not binary, or in eight bits.
    """
    from larq_dense import zoo

    recipe = zoo.find(model).recipe()
    if recipe.quantize:
        raise LarqDenseError(f"{model} is in eight bits; name the run that it began with.")
    if recipe.precision != "binary":
        raise LarqDenseError(
            f"{model} is not binary (model.precision is {recipe.precision}); name a binary run."
        )


def _latency(model: str, repeats: int) -> Latency:
    """Time the network and one of its layers with 1, 2, 3 and 5 branches, and by threads.

    Raises:
        LarqDenseError: The XNOR runtime was not built here.
    """
    from larq_dense import zoo
    from larq_dense.common.machine import usable_cores
    from larq_dense.conversion import to_flatbuffer
    from larq_dense.evaluation.parallelism import BRANCHES, parallel_layer

    entry = zoo.find(model)
    recipe, task = entry.recipe(), entry.task()
    height, width = recipe.input.height, recipe.input.width
    filters = recipe.model.get("decoder_filters", 64)
    networks, layers = {}, {}
    for branches in progress(BRANCHES, "converting"):
        varied = recipe.model_copy(update={"model": {**recipe.model, "branches": branches}})
        networks[branches] = to_flatbuffer(varied.build_model(task=task), (1, height, width, 3))
        # As at the decoder's last stage, where most of its work is.
        size = (height // 4, width // 4, filters)
        layers[branches] = to_flatbuffer(parallel_layer(branches, *size), (1, *size))
    threads = sorted({1, usable_cores()})
    latency = {}
    for count in threads:
        suffix = "1 thread" if count == 1 else f"{count} threads"
        latency[f"layer, {suffix}"] = _time(layers, count, repeats)
        latency[f"network, {suffix}"] = _time(networks, count, repeats)
    return latency


def _time(files: dict[int, bytes], threads: int, repeats: int) -> dict[int, float]:
    import numpy as np

    from larq_dense.latency.benchmark import LocalCandidate, time_interleaved
    from larq_dense.runtime import xnor

    # A layer alone is no network from a picture to logits, which `runtime.load` would ask for.
    loaded = {branches: xnor.load(file, threads) for branches, file in files.items()}
    entrants = [
        LocalCandidate(str(branches), "binary", threads, None, each.run)
        for branches, each in loaded.items()
    ]
    shape = next(iter(loaded.values())).input_shape
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    timings = time_interleaved(entrants, inputs, repeats)
    return {branches: each.median for branches, each in zip(files, timings, strict=True)}


def _print(document: dict[str, Any]) -> None:
    click.echo(
        f"{document['model']} on {document['images']} pictures of {document['data']}, "
        f"{document['split']}"
    )
    for name, question in _QUESTIONS.items():
        check = document[name]
        click.echo()
        click.echo(f"{question}: {check['verdict'] or 'the network has none'}")
        rows = check.get("layers", check.get("parts"))
        if rows is None:
            rows = [
                {"milliseconds by K": key, **{f"K = {k}": v for k, v in times.items()}}
                for key, times in check["milliseconds"].items()
            ]
        if rows:
            print_table(list(rows[0]), [list(row.values()) for row in rows])

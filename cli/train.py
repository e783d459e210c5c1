"""`larq-dense train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from larq_dense.cli.options import FOLDER, count_option, data_option, json_option
from larq_dense.cli.output import print_json, print_table
from larq_dense.common.errors import DataError
from larq_dense.training.run import Run
from larq_dense.zoo.opening import load_recipe

if TYPE_CHECKING:
    from larq_dense.training import Recipe, Result


@click.command()
@click.argument("recipe")
@data_option(help="Folder that holds the recipe's source folders.")
@click.option(
    "--run",
    "run_dir",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="Folder for checkpoints, logs and the best weights; a run in it is resumed.",
)
@click.option(
    "--quantize",
    is_flag=True,
    help="Fine-tune RECIPE, a trained entry or a run's folder, for int8.",
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Train RECIPE's network in full precision instead, from new weights or --init.",
)
@click.option(
    "--init",
    metavar="SOURCE",
    help="Begin with the weights of this run, entry or file instead of the recipe's.",
)
@count_option("--epochs", help="Epochs; overrides the recipe's length.")
@click.option(
    "--deterministic", is_flag=True, help="Same seed and machine, same weights, bit for bit."
)
@click.option(
    "--distribute",
    type=click.Choice(["mirrored", "multiworker"]),
    help="All devices of this machine, or the machines in TF_CONFIG, which share --run.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    data: Path,
    run_dir: Path,
    quantize: bool,
    baseline: bool,
    init: str | None,
    epochs: int | None,
    deterministic: bool,
    distribute: str | None,
    as_json: bool,
) -> None:
    """Train by RECIPE, a YAML file or a zoo entry's name.

    --baseline trains the full-precision baseline: the same recipe with precision float. The
    difference between the two is what binarization costs. If the recipe begins with the weights of
    a run, train that run's baseline first and pass it with --init.

    If the training was interrupted, run the same command again: it resumes from the last
    checkpoint.

    \b
    Example:
      larq-dense train kitti_road --data ../shared/data --run runs/road
      larq-dense evaluate runs/road --data ../shared/data/idd_lite --split val
      larq-dense train runs/road --quantize --data ../shared/data --run runs/road_int8
      larq-dense train kitti_road --baseline --data ../shared/data --run runs/road_baseline
    """
    if quantize and (baseline or init):
        raise click.UsageError("--quantize excludes --baseline and --init.")
    chosen = _quantized(recipe) if quantize else load_recipe(recipe)
    if baseline:
        chosen = chosen.baseline(init)
    elif init:
        chosen = chosen.replace(init=init)
    if epochs is not None:
        chosen = chosen.replace(epochs=epochs, steps=None)
    if deterministic:
        chosen = chosen.replace(deterministic=True)

    from larq_dense.training import Interrupted, train
    from larq_dense.zoo import find_trained

    try:
        result = train(chosen, data, run_dir, distribute=distribute, find=find_trained)
    except Interrupted as stop:
        click.echo(f"Error: {stop}", err=True)
        ctx.exit(stop.exit_code)
    _print(result, as_json)


def _quantized(trained: str) -> Recipe:
    """Return the recipe that fine-tunes an entry's or a run's weights for int8."""
    from larq_dense.zoo import find_trained

    if Path(trained).is_file():
        raise DataError(
            f"--quantize starts from trained weights; name an entry or a run's folder, not the "
            f"file {trained}."
        )
    run = find_trained(trained)
    run.weights()
    recipe = run.recipe()
    if recipe.quantize:
        raise DataError(f"{trained} is an int8 network already; leave out --quantize.")
    return recipe.quantized(trained)


def _print(result: Result, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    rows = [
        (source, name, value)
        for source, metrics in result["metrics"].items()
        for name, value in metrics.items()
    ]
    print_table(
        ("source", "metric", "value"), rows, f"best weights, of epoch {result['best_epoch']}"
    )
    click.echo(f"weights: {Run(Path(result['run'])).best}")

"""`larq-dense ablate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from larq_dense.cli.ablation_tables import markdown, print_tables
from larq_dense.cli.models import load_recipe
from larq_dense.cli.options import FILE, FOLDER, data_option, json_option
from larq_dense.cli.output import INTERRUPTED, prepare_plot, print_json
from larq_dense.common.errors import RecipeError
from larq_dense.evaluation.ablation import ARMS, CLAIMS, judge, spread

if TYPE_CHECKING:
    from larq_dense.training import Recipe

Runs = dict[str, dict[int, dict[str, Any]]]
"""What `train` returned, by arm and seed."""


@click.command()
@click.argument("recipe")
@data_option(help="Folder that holds the recipe's source folders.")
@click.option(
    "--run",
    "folder",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="Folder for the arms' runs, ablation.json and ablation.md; runs found there go on.",
)
@click.option(
    "--arm",
    "arms",
    type=click.Choice(list(ARMS)),
    multiple=True,
    help="Train this arm; repeat it for more. All, if not given.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each arm, with as many seeds from the recipe's on.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Instead of the recipe's length.")
@click.option("--plot", type=FILE, metavar="FILE", help="Draw accuracy over OPs: PNG, SVG or PDF.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    data: Path,
    folder: Path,
    arms: tuple[str, ...],
    seeds: int,
    steps: int | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Train what RECIPE says with parts of the method changed, one arm at a time.

    RECIPE is a YAML file or a zoo entry's name. All arms have the recipe's data and length, and
    begin with new weights. Interrupted or killed, the same command goes on where it was; the
    table holds every run that DIR has finished. docs/ablation.md tells the arms and the criteria.

    \b
    Example:
      larq-dense ablate idd_lite --data ../shared/data --run runs/ablation --steps 1200
      larq-dense ablate idd_lite --data ../shared/data --run runs/ablation --steps 1200 \\
        --arm k3 --arm k3-attention --seeds 3 --plot runs/ablation/plot.png
    """
    chosen = _load(recipe, steps)
    if plot is not None:
        prepare_plot(plot)
    from larq_dense.cli.models import import_tensorflow
    from larq_dense.common.files import write_json, write_text

    import_tensorflow()
    wanted = [(arm, chosen.seed + k) for k in range(seeds) for arm in arms or ARMS]
    try:
        runs = _train(chosen, list(dict.fromkeys(wanted)), data, folder)
        document = _document(recipe, chosen, runs, data)
    except KeyboardInterrupt as stop:
        why = str(stop) or "stopped from the keyboard; the same command goes on."
        click.echo(f"Error: {why}", err=True)
        ctx.exit(INTERRUPTED)
    write_json(folder / "ablation.json", document)
    write_text(folder / "ablation.md", markdown(document))
    if plot is not None:
        from larq_dense.evaluation.ablation_plot import plot_ablation

        title = f"{recipe}, {document['steps']} steps"
        plot_ablation(document["arms"], document["metric"], title, plot)
    if as_json:
        print_json(document)
        return
    print_tables(document)
    wrote = [folder / "ablation.json", folder / "ablation.md", *([plot] if plot else [])]
    click.echo(f"wrote {', '.join(map(str, wrote))}")


def _load(recipe: str, steps: int | None) -> Recipe:
    """Read a recipe, such that no arm has an advantage.

    Raises:
        RecipeError: It goes on in eight bits.
    """
    chosen = load_recipe(recipe)
    if chosen.quantize:
        raise RecipeError(f"{recipe} goes on in eight bits; name the recipe that it began with.")
    if steps is not None:
        chosen = chosen.replace(steps=steps, epochs=None)
    # Another network's weights would fit the arms that are like it better than others.
    return chosen.replace(init=None)


def _of_arm(recipe: Recipe, arm: str, seed: int) -> Recipe:
    return recipe.replace(model={**recipe.model, **ARMS[arm].settings}, seed=seed)


def _train(recipe: Recipe, wanted: list[tuple[str, int]], data: Path, folder: Path) -> Runs:
    """Train what is wanted; returns that and all that was finished before."""
    import tensorflow as tf

    from larq_dense.training import train

    def run(arm: str, seed: int) -> None:
        place = folder / f"{arm}-seed{seed}"
        runs[arm][seed] = train(_of_arm(recipe, arm, seed), data, place)

    runs: Runs = {arm: {} for arm in ARMS}
    finished = list(_finished(folder))
    for each in finished:
        run(*each)
    missing = [each for each in wanted if each not in finished]
    for number, (arm, seed) in enumerate(missing, 1):
        click.echo(f"arm {arm}, seed {seed}: run {number} of {len(missing)}", err=True)
        run(arm, seed)
        # Or the process would keep every arm's graph.
        tf.keras.backend.clear_session()
    return {arm: dict(sorted(by_seed.items())) for arm, by_seed in runs.items() if by_seed}


def _finished(folder: Path) -> Iterator[tuple[str, int]]:
    from larq_dense.training.checkpoint import read_progress

    for arm in ARMS:
        for place in folder.glob(f"{arm}-seed*"):
            seed, state = place.name.removeprefix(f"{arm}-seed"), read_progress(place)
            if seed.isdigit() and state is not None and state.finished:
                yield arm, int(seed)


def _document(name: str, recipe: Recipe, runs: Runs, data: Path) -> dict[str, Any]:
    """Measure what was trained and bring all together."""
    from larq_dense.cli.measure_arms import measure_attention, measure_cost
    from larq_dense.evaluation.machine import describe_machine
    from larq_dense.runtime import xnor

    task = recipe.get_task(data)
    costs = measure_cost({arm: _of_arm(recipe, arm, recipe.seed) for arm in runs}, task)
    scores = {arm: [run["score"] for run in found.values()] for arm, found in runs.items()}
    judged = (judge(claim, scores) for claim in CLAIMS)
    return {
        "recipe": name,
        "data": str(data),
        "task": task.name,
        "metric": task.main_metric,
        "steps": max(run["steps"] for found in runs.values() for run in found.values()),
        "batch_size": recipe.batch_size,
        "input": [recipe.input.height, recipe.input.width],
        "machine": describe_machine(),
        "arms": [
            {
                "arm": arm,
                "title": ARMS[arm].title,
                "model": ARMS[arm].settings,
                "score": _statistics(scores[arm]),
                "sources": _by_source(found, task.main_metric),
                "runs": [{"seed": seed, **run} for seed, run in found.items()],
                **costs[arm],
            }
            for arm, found in runs.items()
        ],
        "claims": [each.to_dict() for each in judged if each is not None],
        "attention": measure_attention(recipe) if xnor.available() else None,
    }


def _by_source(found: Mapping[int, dict[str, Any]], metric: str) -> dict[str, dict[str, Any]]:
    sources = next(iter(found.values()))["metrics"]
    return {
        source: _statistics([run["metrics"][source][metric] for run in found.values()])
        for source in sources
    }


def _statistics(values: list[float]) -> dict[str, float | None]:
    return {"mean": sum(values) / len(values), "spread": spread(values)}

"""`larq-dense ablate`."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from larq_dense.cli.ablation_tables import markdown, print_tables
from larq_dense.cli.models import load_recipe
from larq_dense.cli.options import FILE, FOLDER, data_option, json_option
from larq_dense.cli.output import INTERRUPTED, prepare_plot, print_json
from larq_dense.common.errors import RecipeError

if TYPE_CHECKING:
    from larq_dense.evaluation.study import Study
    from larq_dense.training import Recipe

Runs = dict[str, dict[int, dict[str, Any]]]
"""What `train` returned, with the steps of all stages, by arm and seed."""

_ALIKE = ("task", "input.height", "input.width", "data.validation", "data.validation_limit")
"""What all arms have in common, so that one table can hold them."""


def _complete_arm(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    from larq_dense.evaluation.study import Study

    return [arm for arm in Study.load().arms if arm.startswith(begun)]


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
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_arm,
    help="Train this arm of the study; repeat it for more. All, if not given.",
)
@click.option(
    "--study",
    "study_file",
    type=FILE,
    metavar="FILE",
    help="Arms and claims in YAML, instead of those of the method.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each arm, with as many seeds from the recipe's on.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Instead of the recipe's length.")
@click.option("--plot", type=FILE, metavar="FILE", help="Draw the arms' scores: PNG, SVG or PDF.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    data: Path,
    folder: Path,
    arms: tuple[str, ...],
    study_file: Path | None,
    seeds: int,
    steps: int | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Train what RECIPE says with parts of it changed, one arm at a time.

    RECIPE is a YAML file or a zoo entry's name. All arms have the same length and begin with new
    weights. The arms are those of a study: by default, parts of the method. Interrupted or killed,
    the same command goes on where it was; the table holds every run that DIR has finished.
    docs/ablation.md tells the arms, the criteria, and how a study is written.

    \b
    Example:
      larq-dense ablate kitti_road --data ../shared/data --run runs/ablation --steps 1200
      larq-dense ablate kitti_road --data ../shared/data --run runs/ablation --steps 1200 \\
        --arm k3 --arm k3-attention --seeds 3 --plot runs/ablation/plot.png
      larq-dense ablate benchmarks/ablation.yaml --study benchmarks/training.yaml \\
        --data ../shared/data --run runs/training
    """
    chosen, study = _load(recipe, steps, study_file)
    named = list(dict.fromkeys(arms or study.arms))
    for arm in named:  # A wrong one is refused before any is trained.
        _stages(chosen, study, arm, folder)
    if plot is not None:
        prepare_plot(plot)
    from larq_dense.cli.models import import_tensorflow
    from larq_dense.common.files import write_json, write_text

    import_tensorflow()
    wanted = [(arm, chosen.seed + k) for k in range(seeds) for arm in named]
    try:
        runs = _train(chosen, study, wanted, data, folder)
        document = _document(recipe, chosen, study, runs, data)
    except KeyboardInterrupt as stop:
        why = str(stop) or "stopped from the keyboard; the same command goes on."
        click.echo(f"Error: {why}", err=True)
        ctx.exit(INTERRUPTED)
    write_json(folder / "ablation.json", document)
    write_text(folder / "ablation.md", markdown(document))
    if plot is not None:
        from larq_dense.evaluation.ablation_plot import plot_ablation

        title = f"{Path(recipe).stem}, {document['steps']} steps"
        plot_ablation(document["arms"], document["metric"], title, plot)
    if as_json:
        print_json(document)
        return
    print_tables(document)
    wrote = [folder / "ablation.json", folder / "ablation.md", *([plot] if plot else [])]
    click.echo(f"wrote {', '.join(map(str, wrote))}")


def _load(recipe: str, steps: int | None, study_file: Path | None) -> tuple[Recipe, Study]:
    """Read a recipe, such that no arm has an advantage, and a study.

    Raises:
        RecipeError: The recipe goes on in eight bits, or one of both is wrong.
    """
    chosen = load_recipe(recipe)
    from larq_dense.evaluation.study import Study, changed

    if chosen.quantize:
        raise RecipeError(f"{recipe} goes on in eight bits; name the recipe that it began with.")
    if steps is not None:
        chosen = chosen.replace(steps=steps, epochs=None)
    study = Study.load(study_file) if study_file else Study.load()
    values = changed(chosen.to_dict(), study.settled)
    # Another network's weights would fit the arms that are like it better than others.
    values["init"] = None
    return type(chosen).from_dict(values, "the recipe as all arms have it"), study


def _of_arm(recipe: Recipe, study: Study, arm: str) -> Recipe:
    """Return an arm's recipe.

    Raises:
        LarqDenseError: There is no such arm, its changes do not fit the recipe, or it would not be
            measured on the same pictures as the others.
    """
    from larq_dense.evaluation.study import changed

    values = changed(recipe.to_dict(), study.settings(arm))
    found = type(recipe).from_dict(values, f"the recipe of arm {arm}")
    if setting := found.first_difference(recipe, _ALIKE):
        raise RecipeError(
            f"arm {arm} has another {setting}, and its figures could not stand beside the "
            "others; settle it for all arms, or compare runs by `larq-dense evaluate`."
        )
    return found


def _check_networks(recipe: Recipe, study: Study, arms: Iterable[str], data: Path) -> None:
    """Build what the arms train, so that a wrong setting is found before hours of training.

    Raises:
        LarqDenseError: A network cannot be built.
    """
    task = recipe.get_task(data)
    for arm in arms:
        for stage in _stages(recipe, study, arm, Path()).values():
            stage.build_model(task=task)
    _forget_graphs()


def _stages(recipe: Recipe, study: Study, arm: str, place: Path) -> dict[Path, Recipe]:
    """Return what is trained for an arm, one after another, and where."""
    from larq_dense.evaluation.study import changed

    whole, first = _of_arm(recipe, study, arm), study.arms[arm].first
    if first is None:
        return {place: whole}
    key = "steps" if whole.steps else "epochs"
    length = whole.steps or whole.epochs or 0
    if length < 2:
        raise RecipeError(f"arm {arm} has two stages, and the recipe is too short for both.")
    before = place / "first"
    values = changed(whole.to_dict(), first) | {key: length // 2}
    return {
        before: type(recipe).from_dict(values, f"the first stage of arm {arm}"),
        place: whole.replace(init=str(before), **{key: length - length // 2}),
    }


def _train(
    recipe: Recipe, study: Study, wanted: list[tuple[str, int]], data: Path, folder: Path
) -> Runs:
    """Train what is wanted; returns that and all that was finished before."""
    from larq_dense.training import train

    def run(arm: str, seed: int) -> None:
        place = folder / f"{arm}-seed{seed}"
        steps = 0
        for part, stage in _stages(recipe.replace(seed=seed), study, arm, place).items():
            found = train(stage, data, part)
            steps += found["steps"]
        runs[arm][seed] = {**found, "steps": steps}

    runs: Runs = {arm: {} for arm in study.arms}
    finished = list(_finished(folder, study))
    for each in finished:
        run(*each)
    missing = [each for each in wanted if each not in finished]
    _check_networks(recipe, study, dict.fromkeys(arm for arm, _ in missing), data)
    for number, (arm, seed) in enumerate(missing, 1):
        click.echo(f"arm {arm}, seed {seed}: run {number} of {len(missing)}", err=True)
        run(arm, seed)
        _forget_graphs()
    return {arm: dict(sorted(by_seed.items())) for arm, by_seed in runs.items() if by_seed}


def _forget_graphs() -> None:
    """Free what Keras would keep of every arm's network."""
    import tensorflow as tf

    tf.keras.backend.clear_session()
    gc.collect()


def _finished(folder: Path, study: Study) -> Iterator[tuple[str, int]]:
    from larq_dense.training.checkpoint import read_progress

    for arm in study.arms:
        for place in folder.glob(f"{arm}-seed*"):
            seed, state = place.name.removeprefix(f"{arm}-seed"), read_progress(place)
            if seed.isdigit() and state is not None and state.finished:
                yield arm, int(seed)


def _document(name: str, recipe: Recipe, study: Study, runs: Runs, data: Path) -> dict[str, Any]:
    """Measure what was trained and bring all together."""
    from larq_dense.cli.measure_arms import measure_attention, measure_cost
    from larq_dense.common.machine import describe_machine
    from larq_dense.evaluation.ablation import judge
    from larq_dense.runtime import xnor

    task = recipe.get_task(data)
    costs = measure_cost({arm: _of_arm(recipe, study, arm) for arm in runs}, task)
    scores = {arm: [run["score"] for run in found.values()] for arm, found in runs.items()}
    judged = (judge(claim, scores) for claim in study.claims)
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
                "title": study.arms[arm].title,
                "settings": study.settings(arm),
                "first": study.arms[arm].first,
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
    from larq_dense.evaluation.ablation import spread

    return {"mean": sum(values) / len(values), "spread": spread(values)}

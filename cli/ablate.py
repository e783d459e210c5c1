"""`larq-dense ablate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from larq_dense.cli.options import FILE, FOLDER, data_option, json_option
from larq_dense.cli.output import INTERRUPTED, prepare_plot, print_json, print_table
from larq_dense.experiments.tables import markdown, tables
from larq_dense.zoo.opening import load_recipe


def _complete_arm(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    from larq_dense.experiments.study import Study

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
    from larq_dense.common.files import write_json, write_text
    from larq_dense.common.quiet import import_tensorflow
    from larq_dense.experiments.study import METHOD, Study

    chosen = load_recipe(recipe)
    if steps is not None:
        chosen = chosen.replace(steps=steps, epochs=None)
    study = Study.load(study_file or METHOD)
    from larq_dense.experiments.trainings import Ablation

    ablation = Ablation.of(recipe, chosen, study)
    named = list(dict.fromkeys(arms or study.arms))
    for arm in named:  # A wrong one is refused before any is trained.
        ablation.stages(arm, folder)
    if plot is not None:
        prepare_plot(plot)
    import_tensorflow()
    try:
        runs = ablation.train(named, seeds, data, folder, partial(click.echo, err=True))
        document = ablation.document(runs, data)
    except KeyboardInterrupt as stop:
        why = str(stop) or "stopped from the keyboard; the same command goes on."
        click.echo(f"Error: {why}", err=True)
        ctx.exit(getattr(stop, "exit_code", INTERRUPTED))
    write_json(folder / "ablation.json", document)
    write_text(folder / "ablation.md", markdown(document))
    if plot is not None:
        from larq_dense.experiments.ablation_plot import plot_ablation

        title = f"{Path(recipe).stem}, {document['steps']} steps"
        plot_ablation(document["arms"], document["metric"], title, plot)
    if as_json:
        print_json(document)
        return
    for table in tables(document):
        print_table(table.columns, table.rows, table.title)
        click.echo()
    wrote = [folder / "ablation.json", folder / "ablation.md", *([plot] if plot else [])]
    click.echo(f"wrote {', '.join(map(str, wrote))}")

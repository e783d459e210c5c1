"""`larq-dense ablate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from larq_dense.cli.options import FILE, FOLDER, count_option, data_option, json_option
from larq_dense.cli.output import INTERRUPTED, prepare_plot, print_json, print_table
from larq_dense.experiments.tables import markdown, tables
from larq_dense.zoo.opening import load_recipe


def _complete_variant(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    from larq_dense.experiments.experiment import Experiment

    return [variant for variant in Experiment.load().variants if variant.startswith(begun)]


@click.command()
@click.argument("recipe")
@data_option(help="Folder that holds the recipe's source folders.")
@click.option(
    "--run",
    "folder",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="Folder for the variants' runs, ablation.json and ablation.md; runs in it are resumed.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_variant,
    help="Train this variant of the experiment; repeat it for more. All, if not given.",
)
@click.option(
    "--experiment",
    "experiment_file",
    type=FILE,
    metavar="FILE",
    help="Variants and hypotheses in YAML, instead of those of the method.",
)
@count_option("--seeds", 1, help="Seeds per variant, counted from the recipe's.")
@count_option("--steps", help="Steps; overrides the recipe's length.")
@click.option(
    "--plot", type=FILE, metavar="FILE", help="Draw the variants' scores: PNG, SVG or PDF."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    data: Path,
    folder: Path,
    variants: tuple[str, ...],
    experiment_file: Path | None,
    seeds: int,
    steps: int | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Train variants of RECIPE, each with a part of it changed, and compare them.

    RECIPE is a YAML file or a zoo entry's name. All variants have the same length and begin with
    new weights. The variants are those of an experiment: by default, parts of the method. If the
    command was interrupted, run it again and it resumes; the table holds every run that DIR has
    finished. docs/ablation.md describes the variants, the criteria, and how to write an experiment.

    \b
    Example:
      larq-dense ablate kitti_road --data ../shared/data --run runs/ablation --steps 1200
      larq-dense ablate kitti_road --data ../shared/data --run runs/ablation --steps 1200 \\
        --variant k3 --variant k3-attention --seeds 3 --plot runs/ablation/plot.png
      larq-dense ablate benchmarks/ablation.yaml --experiment benchmarks/training.yaml \\
        --data ../shared/data --run runs/training
    """
    from larq_dense.common.files import write_json, write_text
    from larq_dense.common.quiet import import_tensorflow
    from larq_dense.experiments.experiment import METHOD, Experiment

    chosen = load_recipe(recipe)
    if steps is not None:
        chosen = chosen.replace(steps=steps, epochs=None)
    experiment = Experiment.load(experiment_file or METHOD)
    from larq_dense.experiments.trainings import Ablation

    ablation = Ablation.of(recipe, chosen, experiment)
    named = list(dict.fromkeys(variants or experiment.variants))
    for variant in named:  # A wrong one is refused before any is trained.
        ablation.stages(variant, folder)
    if plot is not None:
        prepare_plot(plot)
    import_tensorflow()
    try:
        runs = ablation.train(named, seeds, data, folder, partial(click.echo, err=True))
        document = ablation.document(runs, data)
    except KeyboardInterrupt as stop:
        why = str(stop) or "stopped from the keyboard; the same command resumes."
        click.echo(f"Error: {why}", err=True)
        ctx.exit(getattr(stop, "exit_code", INTERRUPTED))
    write_json(folder / "ablation.json", document)
    write_text(folder / "ablation.md", markdown(document))
    if plot is not None:
        from larq_dense.experiments.ablation_plot import plot_ablation

        title = f"{Path(recipe).stem}, {document['steps']} steps"
        plot_ablation(document["variants"], document["metric"], title, plot)
    if as_json:
        print_json(document)
        return
    for table in tables(document):
        print_table(table.columns, table.rows, table.title)
        click.echo()
    wrote = [folder / "ablation.json", folder / "ablation.md", *([plot] if plot else [])]
    click.echo(f"wrote {', '.join(map(str, wrote))}")

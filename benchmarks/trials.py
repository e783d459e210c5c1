"""Draws what was tried for the figures that stay out of reach.

    python benchmarks/trials.py docs/images/trials.png

Each folder in benchmarks/trials/ is a training that went on from an entry's weights: the recipe as
`larq-dense train` took it, and the log that it wrote. Validation scores are drawn over steps, on
the source that the entry does not reach its aim on, beside what the published entry and its
full-precision twin have there. Training losses and scores are printed, too, as a Markdown table.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from budget import scores

from larq_dense import zoo
from larq_dense.common.figures import save_figure
from larq_dense.common.markdown import METRIC_TITLES, markdown_table
from larq_dense.training.recipe import Recipe
from larq_dense.zoo.provenance import data_set

TRIALS = Path(__file__).resolve().parent / "trials"
SOURCES = {"camvid": "camvid", "cityscapes": "idd_lite"}


def log_of(folder: Path) -> list[dict[str, str]]:
    """Return a trial's log, a row for each epoch."""
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Draw and print."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    panels, rows = figure.subplots(1, len(SOURCES)), []
    for axes, (name, source) in zip(panels, SOURCES.items(), strict=True):
        entry = zoo.find(name)
        metric = entry.task().main_metric
        column = f"{metric} {source}/val"
        for folder in sorted(TRIALS.glob(f"{name}-*")):
            recipe, log = Recipe.load(folder / "recipe.yaml"), log_of(folder)
            steps, curve = [int(row["step"]) for row in log], [float(row[column]) for row in log]
            title = folder.name.removeprefix(f"{name}-")
            axes.plot(steps, curve, "o-", label=title)
            rows.append(
                [
                    f"[{folder.name}](../benchmarks/trials/{folder.name})",
                    f"{steps[-1]} of {recipe.steps}",
                    f"{float(log[0]['loss']):.3f} → {float(log[-1]['loss']):.3f}",
                    ", ".join(f"{100 * score:.1f}" for score in curve),
                ]
            )
        published, twin = entry.metrics(), entry.twin().metrics()
        assert published and twin
        for label, metrics, style in (("published", published, "--"), ("its twin", twin, ":")):
            value = scores(name, metrics)[source]
            axes.axhline(value, color="gray", linestyle=style, label=label)
        axes.set_title(f"{name} on {data_set(source).title}", fontsize=10)
        axes.set_xlabel("steps")
        axes.set_ylabel(METRIC_TITLES[metric])
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, Path(sys.argv[1]))
    header = ["trial", "steps", "training loss", f"{METRIC_TITLES['miou']}, % after each epoch"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()

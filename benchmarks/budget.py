"""Draws how accuracy grew with the budget of training, from the history of the zoo.

    python benchmarks/budget.py docs/images/budget.png

Every version of an entry that was published is a point: its metrics as committed then, over all
that its weights had learned from, in crops of 192x192 (steps x crops x their area), the stages
before the last one included, its teacher's training not. The full-precision twin stands where the
entry stands that it is the twin of. The points are printed, too, as a Markdown table. Wants a clone
with its history.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from larq_dense import zoo
from larq_dense.common.figures import save_figure
from larq_dense.common.markdown import METRIC_TITLES, markdown_table
from larq_dense.zoo.provenance import ancestor, data_set

ROOT = Path(__file__).resolve().parents[1]
UNIT = 192 * 192
ENTRIES = ("camvid", "cityscapes", "ecssd", "idd_lite")
# What the entries are meant to reach on a validation split.
AIMS = {
    ("camvid", "camvid"): 0.72,
    ("cityscapes", "idd_lite"): 0.955,
    ("cityscapes", "camvid"): 0.965,
    ("ecssd", "objects"): 0.88,
    ("ecssd", "people"): 0.93,
    ("ecssd", "horses"): 0.93,
    ("idd_lite", "idd_lite"): 0.60,
}


@dataclass(frozen=True)
class Version:
    """One published version of an entry.

    Attributes:
        commit: That brought it.
        budget: Crops of 192x192, in thousands.
        teacher: Whether it learned from one.
        scores: The main metric by the validation source's folder.
    """

    commit: str
    budget: float
    teacher: bool
    scores: dict[str, float]


def git(*arguments: str) -> str:
    """Return what git prints."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def read(commit: str, path: Path | str) -> dict[str, Any] | None:
    """Return a YAML or JSON file as it was at a commit, if it was there."""
    try:
        return dict(yaml.safe_load(git("show", f"{commit}:{path}")))
    except subprocess.CalledProcessError:
        return None


def budget(commit: str, folder: Path, recipe: dict[str, Any]) -> float:
    """Return the crops of 192x192 that a recipe and what it began with take, in thousands."""
    rows, columns = recipe["crop"]
    total = recipe["steps"] * recipe["batch_size"] * rows * columns / UNIT / 1000
    if recipe.get("init") is None:
        return total
    kept = read(commit, ancestor(folder, recipe["init"]))
    if kept is not None:
        return total + budget(commit, folder, kept)
    # An entry: what it was before this commit.
    folder = Path("zoo", recipe["init"])
    before = read(f"{commit}^", folder / "recipe.yaml")
    assert before is not None, f"{commit}: the recipe of {recipe['init']} is missing"
    return total + budget(f"{commit}^", folder, before)


def versions(name: str) -> Iterator[Version]:
    """Yield an entry's versions of different weights and budgets, the first one first."""
    folder, last = Path("zoo", name), None
    for commit in git("log", "--reverse", "--format=%h", "--", f"{folder}/metrics.json").split():
        metrics, recipe = (read(commit, folder / f) for f in ("metrics.json", "recipe.yaml"))
        assert metrics is not None and recipe is not None
        taken = budget(commit, folder, recipe)
        if taken != last:
            yield Version(commit, taken, bool(recipe.get("distillation")), scores(name, metrics))
        last = taken


def scores(name: str, metrics: dict[str, Any]) -> dict[str, float]:
    """Return the main metric by the validation source's folder."""
    key = zoo.find(name).task().main_metric
    return {row["data"]: row["metrics"][key] for row in metrics["accuracy"]}


def main() -> None:
    """Draw and print."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = iter(figure.subplots(2, 4).flat)
    rows, legend = [], {}
    for name in ENTRIES:
        found, twin = list(versions(name)), zoo.find(name).twin().metrics()
        float_scores = scores(name, twin) if twin else {}
        for source in found[-1].scores:
            axes, x = next(panels), [each.budget for each in found]
            axes.plot(x, [each.scores[source] for each in found], "o-", label="binary")
            if source in float_scores:
                axes.plot(x[-1], float_scores[source], "x", label="full-precision twin")
            axes.axhline(AIMS[name, source], color="gray", linestyle="--", label="aim")
            axes.set_title(f"{name} on {data_set(source).title}", fontsize=9)
            axes.set_ylabel(METRIC_TITLES[zoo.find(name).task().main_metric], fontsize=8)
            axes.grid(alpha=0.3)
            legend.update(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
            rows += [
                [
                    f"`{name}`",
                    data_set(source).title,
                    f"`{each.commit}`",
                    f"{each.budget:.0f}",
                    "yes" if each.teacher else "no",
                    f"{each.scores[source]:.3f}",
                ]
                for each in found
            ]
    figure.supxlabel("crops of 192x192 in training, in thousands", fontsize=9)
    last = next(panels)
    last.axis("off")
    last.legend(legend.values(), legend.keys(), loc="center")
    save_figure(figure, Path(sys.argv[1]))
    header = ["entry", "measured on", "commit", "thousand crops", "teacher", "metric"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()

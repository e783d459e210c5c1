"""Accuracy over cost as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from larq_dense.evaluation.plots import check_plot_path, save_figure


def plot_ablation(arms: Sequence[Mapping[str, Any]], metric: str, title: str, path: Path) -> None:
    """Draw each arm's mean score over its OPs, with its spread over seeds.

    Args:
        arms: Rows of `ablation.json`.
        metric: What the score is.
        title: Written above.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: The suffix is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_plot_path(path)
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for arm in arms:
        ops, score = arm["complexity"]["ops"] / 1e6, arm["score"]
        axes.errorbar(ops, score["mean"], yerr=score["spread"], marker="o", capsize=3)
        axes.annotate(
            arm["arm"], (ops, score["mean"]), (5, 4), textcoords="offset points", fontsize=8
        )
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("million OPs (float MACs + binary MACs / 64)")
    axes.set_ylabel(f"{metric} (mean over sources and seeds; standard deviation over seeds)")
    axes.set_title(title, fontsize=10)
    save_figure(figure, path)

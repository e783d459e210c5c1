"""A training's course as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from larq_dense.common.figures import save_figure


def plot_training(
    curves: Mapping[str, Sequence[tuple[int, float]]], metric: str, title: str, path: Path
) -> None:
    """Draw how networks' validation scores rose while they trained.

    Args:
        curves: By the network's name, its scores by the number of steps.
        metric: What the scores are.
        title: Written above.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: The suffix is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(*zip(*curve, strict=True), marker=".", label=name)
    axes.grid(alpha=0.3)
    axes.set_xlabel("steps")
    axes.set_ylabel(metric)
    axes.set_title(title, fontsize=11)
    axes.legend(fontsize=9)
    save_figure(figure, path)

"""Accuracy over operations as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from larq_dense.common.figures import save_figure


class Point(NamedTuple):
    """A network's place in the picture.

    Attributes:
        ops: Float MACs + binary MACs / 64, or int8 MACs for float ones.
        scores: The metric, by what it was measured on; all points have the same keys.
    """

    ops: float
    scores: Mapping[str, float]


def plot_accuracy(points: Mapping[str, Point], metric: str, title: str, path: Path) -> None:
    """Draw networks' scores over their operations, a panel for each source.

    Args:
        points: By the network's name.
        metric: What the scores are.
        title: Written above.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: The suffix is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure

    sources = list(next(iter(points.values())).scores)
    figure = Figure(figsize=(1.5 + 3 * len(sources), 3.6), layout="constrained")
    panels = figure.subplots(1, len(sources), squeeze=False)[0]
    for axes, source in zip(panels, sources, strict=True):
        for (name, point), marker in zip(points.items(), "oxs^", strict=False):
            axes.plot(point.ops / 1e6, point.scores[source], marker, markersize=8, label=name)
        axes.set_xscale("log")
        axes.margins(x=0.3, y=0.3)
        axes.grid(alpha=0.3)
        axes.set_title(source, fontsize=10)
        axes.set_xlabel("million OPs")
    panels[0].set_ylabel(metric)
    handles, names = panels[0].get_legend_handles_labels()
    columns = len(points) if len(sources) > 1 else 2  # one panel is too narrow for all in a row
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)

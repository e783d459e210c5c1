"""The frontier as a plot."""

from collections.abc import Sequence
from pathlib import Path

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.figures import save_figure
from larq_dense.latency.frontier import Point, dominating

_COLORS = {
    "binary, int8": "tab:blue",
    "binary, float between": "tab:cyan",
    "float32": "tab:orange",
    "int8": "tab:green",
}


def plot_frontier(points: Sequence[Point], metric: str, path: Path) -> None:
    """Draw metric over milliseconds, one field for each column of times.

    Points without a metric are left out. A line joins those that no other dominates.

    Args:
        points: What was measured.
        metric: The metric's name.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: No point has a metric, the suffix is unknown, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    rated = [point for point in points if point.metric is not None]
    if not rated:
        raise LarqDenseError(
            "no network has trained weights, so there is no accuracy to plot; name entries or runs."
        )
    columns = list(points[0].milliseconds)
    figure = Figure(figsize=(5 * len(columns), 4.5), layout="constrained")
    fields = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(fields, columns, strict=True):
        for point in rated:
            place = (point.milliseconds[column], point.metric)
            axes.scatter(*place, color=_COLORS[point.form], zorder=2)
            axes.annotate(point.model, place, (4, 4), textcoords="offset points", fontsize=7)
        best = [p for p in rated if not dominating(p, rated, column)]
        best.sort(key=lambda p: p.milliseconds[column])
        line = [(p.milliseconds[column], p.metric) for p in best]
        axes.plot(*zip(*line, strict=True), color="lightgray", zorder=1)
        axes.set_xscale("log")
        axes.set_xlabel(f"milliseconds a picture, {column}")
    fields[0].set_ylabel(metric)
    shown = [form for form in _COLORS if any(point.form == form for point in rated)]
    for form in shown:
        fields[0].scatter([], [], color=_COLORS[form], label=form)
    fields[0].legend(fontsize=7)
    save_figure(figure, path)

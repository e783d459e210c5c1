"""Latencies as a plot."""

from collections.abc import Sequence
from pathlib import Path

from larq_dense.common.figures import save_figure
from larq_dense.latency.benchmark import Timing

_COLORS = {
    "binary": "tab:blue",
    "binary int8": "tab:cyan",
    "float32": "tab:orange",
    "int8": "tab:green",
}


def plot_timings(timings: Sequence[Timing], title: str, path: Path) -> None:
    """Draw each candidate's median as a bar, with its 10th to 90th percentile.

    Args:
        timings: What was measured.
        title: The network and the machine.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: The suffix is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    names = [_name(timing) for timing in timings]
    medians = [timing.median for timing in timings]
    below = [timing.median - timing.percentiles[0] for timing in timings]
    above = [timing.percentiles[1] - timing.median for timing in timings]
    colors = [_COLORS[timing.candidate.network] for timing in timings]
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, medians, xerr=[below, above], color=colors, ecolor="black", capsize=2)
    axes.bar_label(bars, [f"{median:.1f}" for median in medians], padding=6)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("milliseconds a picture (median; 10th to 90th percentile)")
    axes.set_title(title, fontsize=10)
    shown = dict.fromkeys(timing.candidate.network for timing in timings)
    axes.legend(handles=[Patch(color=_COLORS[name], label=name) for name in shown])
    save_figure(figure, path)


def _name(timing: Timing) -> str:
    threads = timing.candidate.threads
    count = "TensorFlow's threads" if threads is None else f"{threads} thread{'s' * (threads > 1)}"
    return f"{timing.candidate.engine}, {count}"

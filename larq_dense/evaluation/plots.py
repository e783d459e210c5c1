"""Latencies as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_bytes
from larq_dense.evaluation.benchmark import Timing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {
    "binary": "tab:blue",
    "binary int8": "tab:cyan",
    "float32": "tab:orange",
    "int8": "tab:green",
}
_FORMATS = (".png", ".svg", ".pdf", ".jpg")


def check_plot_path(path: Path) -> None:
    """Refuse a file name that tells no picture format.

    Raises:
        LarqDenseError: The suffix is not one of those that can be drawn.
    """
    if path.suffix.lower() not in _FORMATS:
        raise LarqDenseError(f"cannot draw {path}: name it {', '.join(_FORMATS[:-1])} or .jpg.")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure, whole or not at all.

    Args:
        figure: What was drawn.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: The suffix is unknown or the file cannot be written.
    """
    check_plot_path(path)
    file = io.BytesIO()
    figure.savefig(file, format=path.suffix[1:].lower(), dpi=120)
    write_bytes(path, file.getvalue())


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
    below = [timing.median - timing.spread[0] for timing in timings]
    above = [timing.spread[1] - timing.median for timing in timings]
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

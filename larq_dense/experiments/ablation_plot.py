"""The scores of an ablation's variants as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from larq_dense.common.figures import save_figure


def plot_ablation(
    variants: Sequence[Mapping[str, Any]], metric: str, title: str, path: Path
) -> None:
    """Draw a line for each variant: its seeds, their mean, and the standard deviation.

    Args:
        variants: Rows of `ablation.json`.
        metric: What the score is.
        title: Written above.
        path: A PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        LarqDenseError: The suffix is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.35 * len(variants)), layout="constrained")
    axes = figure.subplots()
    for row, variant in enumerate(variants):
        scores, found = [run["score"] for run in variant["runs"]], variant["score"]
        style: dict[str, Any] = {"fmt": "|", "markersize": 14, "capsize": 3, "color": "black"}
        axes.errorbar(found["mean"], row, xerr=found["deviation"], **style)
        axes.plot(scores, [row] * len(scores), "o", alpha=0.6, color="tab:blue")
    names = [
        f"{variant['title']} · {variant['complexity']['ops'] / 1e6:,.1f} M OPs"
        for variant in variants
    ]
    axes.set_yticks(range(len(variants)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(metric)
    figure.suptitle(f"{title}: seeds, their mean and standard deviation", fontsize=10)
    save_figure(figure, path)

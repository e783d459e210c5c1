"""The checks on the method's mechanism as one picture."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from larq_dense.common.figures import save_figure
from larq_dense.experiments.attention_masks import MaskUse
from larq_dense.experiments.branch_errors import BranchErrors


def plot_diagnosis(
    errors: Sequence[BranchErrors],
    masks: Sequence[MaskUse],
    latency: Mapping[str, Mapping[int, float]],
    title: str,
    path: Path,
) -> None:
    """Draw what was measured; branches or masks that a network has not leave their panel out.

    Args:
        errors: From `branch_errors`.
        masks: From `mask_use`.
        latency: Milliseconds by K, by what ran.
        title: The network.
        path: A PNG.
    """
    from matplotlib.figure import Figure

    panels = [partial(_latency, latency=latency)]
    if masks:
        panels.insert(0, partial(_masks, parts=masks))
    if errors:
        panels.insert(0, partial(_errors, layers=errors))
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for draw, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        draw(axes)
    save_figure(figure, path)


def _errors(axes: Any, layers: Sequence[BranchErrors]) -> None:
    places = np.arange(len(layers))
    axes.barh(places - 0.2, [layer.correlation for layer in layers], 0.4, label="correlation")
    axes.barh(places + 0.2, [layer.reduction for layer in layers], 0.4, label="merged / single")
    for place, layer in zip(places, layers, strict=True):
        axes.vlines(layer.independent, place, place + 0.4, color="black", linewidth=2)
    axes.plot([], [], color="black", linewidth=2, label="1/sqrt(K)")
    axes.set_yticks(places, [layer.layer for layer in layers])
    _finish(axes, "binarization errors of the branches")


def _masks(axes: Any, parts: Sequence[MaskUse]) -> None:
    places = np.arange(len(parts))
    for shift, name in ((-0.27, "open"), (0, "entropy"), (0.27, "uniform")):
        values = [getattr(part, name) for part in parts]
        axes.barh(places + shift, values, 0.27, label=name)
    axes.set_yticks(places, [f"{part.layer}, {part.part}" for part in parts])
    _finish(axes, "attention masks")


def _finish(axes: Any, title: str) -> None:
    axes.set_xlim(min(0, axes.get_xlim()[0]), 1)
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=7)


def _latency(axes: Any, latency: Mapping[str, Mapping[int, float]]) -> None:
    for name, milliseconds in latency.items():
        counts = sorted(milliseconds)
        (line,) = axes.plot(counts, [milliseconds[k] for k in counts], marker="o", label=name)
        through = [k * milliseconds[1] for k in counts]
        axes.plot(counts, through, linestyle=":", color=line.get_color())
    axes.set_yscale("log")
    axes.set_xticks(counts)
    axes.set_xlabel("branches K (dotted: K times one)")
    axes.set_ylabel("milliseconds")
    axes.set_title("latency", fontsize=9)
    axes.legend(fontsize=7)

"""How figures and tables are written."""

from collections.abc import Iterable, Sequence
from typing import Any

METRIC_TITLES = {
    "miou": "mIoU",
    "iou": "IoU",
    "maxf": "MaxF",
    "mae": "MAE",
    "s_measure": "S-measure",
    "e_measure": "E-measure",
    "pixel_accuracy": "pixel accuracy",
    "category_miou": "mIoU of categories",
}
_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "sse4_2": "SSE4.2", "asimd": "NEON"}
_PERCENT = ("miou", "category_miou", "iou", "pixel_accuracy", "precision", "recall")


def format_metric(name: str, value: float | None) -> str:
    """Return a fraction as a percentage where the field writes it so, else to three decimals."""
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if name in _PERCENT else f"{value:.3f}"


def vectors(machine: dict[str, Any]) -> str:
    """Return the widest vectors that a machine computes with, such as `AVX2`."""
    found = (title for name, title in _VECTORS.items() if name in machine["instruction_sets"])
    return next(found, "no vectors")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""How figures and tables are written."""

from collections.abc import Iterable, Sequence

METRIC_TITLES = {
    "miou": "mIoU",
    "iou": "IoU",
    "maxf": "MaxF",
    "mae": "MAE",
    "s_measure": "S-measure",
    "e_measure": "E-measure",
    "pixel_accuracy": "pixel accuracy",
}
_PERCENT = ("miou", "iou", "pixel_accuracy", "precision", "recall")


def format_metric(name: str, value: float | None) -> str:
    """Return a fraction as a percentage where the field writes it so, else to three decimals."""
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if name in _PERCENT else f"{value:.3f}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

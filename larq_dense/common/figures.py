"""Plots as files."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMATS = (".png", ".svg", ".pdf", ".jpg")


def check_plot_path(path: Path) -> None:
    """Refuse a file name without the suffix of an image format.

    Raises:
        LarqDenseError: The suffix is not one of those that can be drawn.
    """
    if path.suffix.lower() not in _FORMATS:
        raise LarqDenseError(f"cannot draw {path}: name it {', '.join(_FORMATS[:-1])} or .jpg.")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure atomically.

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

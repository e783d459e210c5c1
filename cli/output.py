"""How commands print: tables for people, one JSON document for programs."""

import itertools
import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

# The exit status by which shells report a process that Ctrl-C ended.
INTERRUPTED = 130
_GAP = "  "


def print_json(value: Any) -> None:
    """Print `value` as the one JSON document on standard output.

    NumPy values become plain ones, paths strings, and NaN and infinity null, for JSON knows
    neither and strict parsers refuse Python's spelling of them.
    """
    click.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
) -> None:
    """Print a table; columns that hold a float or an int are aligned to the right.

    On a terminal that is too narrow the widest column is folded.

    Args:
        columns: The header.
        rows: One sequence of cells a row, as long as the header. None prints as a dash.
        title: Printed above.
    """
    values = [list(row) for row in rows]
    table = [list(columns), *([_cell(value) for value in row] for row in values)]
    count = range(len(columns))
    numeric = [any(isinstance(row[each], int | float) for row in values) for each in count]
    widths = [max(1, *(len(row[each]) for row in table)) for each in count]
    if sys.stdout.isatty():
        widths = _fitted(widths, shutil.get_terminal_size().columns)
    if title is not None:
        click.echo(title)
    for row in table:
        folded = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for texts in itertools.zip_longest(*folded, fillvalue=""):
            cells = [
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(texts, widths, numeric, strict=True)
            ]
            line = _GAP.join(cells).rstrip()
            click.echo(click.style(line, bold=True) if row is table[0] else line)


def _fitted(widths: list[int], room: int) -> list[int]:
    """Narrow the widest column, to 20 at the least, so that all fit into `room`."""
    widest = widths.index(max(widths))
    others = sum(widths) - widths[widest] + len(_GAP) * (len(widths) - 1)
    narrowed = min(widths[widest], max(20, room - others))
    return [narrowed if index == widest else width for index, width in enumerate(widths)]


def _cell(value: object) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def printable(text: str) -> str:
    """Return a text, such as a file's name, on one line and without what no terminal shows."""
    plain = os.fsencode(text).decode(errors="replace")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in plain)


def prepare_plot(plot: Path) -> None:
    """Make sure, before any work, that a plot can be written.

    Raises:
        LarqDenseError: The suffix is unknown or the folder cannot be written.
    """
    from larq_dense.common.figures import check_plot_path
    from larq_dense.common.files import prepare_folder

    check_plot_path(plot)
    prepare_folder(plot.parent)

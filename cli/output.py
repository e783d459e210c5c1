"""How commands print: tables for people, one JSON document for programs."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click


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


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Discard what C++ libraries write to standard error while the block runs.

    Importing TensorFlow 2.19 writes a dozen lines about GPUs that are not there, which no setting
    turns off. Errors are Python exceptions and reach the user all the same.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
) -> None:
    """Print a table; cells of the type float or int stand to the right.

    Args:
        columns: The header.
        rows: One sequence of cells a row, as long as the header. None prints as a dash.
        title: Printed above.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[escape(_cell(cell)) for cell in row])
    # Piped into a file or a pager, a table should not fold at 80 columns.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)


def _cell(value: object) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

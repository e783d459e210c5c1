"""The README's table of entries, written from their metrics."""

import re
from collections.abc import Iterator
from pathlib import Path

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_text
from larq_dense.common.markdown import METRIC_TITLES, format_metric, markdown_table, vectors
from larq_dense.training.run import Run
from larq_dense.zoo import entries
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import data_set, split_title

START = "<!-- entries: written by `larq-dense zoo render`, do not edit -->"
END = "<!-- entries end -->"


def entries_table() -> str:
    """Return the table of all entries as Markdown: a row for each source that was measured on."""
    header = [
        "network",
        "measured on",
        "metric",
        "in int8",
        "baseline",
        "int8 file",
        "ms, int8",
        "ms, baseline in int8",
    ]
    found = [entries.find(name) for name in entries.names()]
    measured = [entry for entry in found if entry.metrics()]
    rows = [row for entry in measured for row in _rows(entry)]
    return markdown_table(header, rows)


def _rows(entry: Entry) -> Iterator[list[str]]:
    """Yield an entry's rows; what its sources share is in the first."""
    name, metric = f"[`{entry.name}`](zoo/{entry.name}/card.md)", entry.task().main_metric
    shared = _int8_costs(entry)
    for index, row in enumerate(entry.metrics()["accuracy"]):
        where = f"{data_set(row['data']).title} ({split_title(row['split'], row['within'])})"
        figures = [_figure(each, index, metric) for each in (entry.int8(), entry.baseline())]
        own = f"{METRIC_TITLES[metric]} {format_metric(metric, row['metrics'][metric])}"
        yield [name, where, own, *figures, *shared]
        name, shared = "", ["", "", ""]


def _figure(variant: Run, index: int, metric: str) -> str:
    """Return the main metric of an entry's int8 variant or baseline, a dash if there is none."""
    metrics = variant.metrics()
    return format_metric(metric, metrics["accuracy"][index]["metrics"][metric]) if metrics else "-"


def _int8_costs(entry: Entry) -> list[str]:
    """Return the int8 file's size and time, and the time of the baseline in int8."""
    metrics = entry.int8().metrics()
    if not metrics:
        return ["-", "-", "-"]
    taken = metrics["latency"]["milliseconds"]
    return [
        f"{metrics['conversion']['bytes'] / 1e6:.1f} MB",
        f"{taken['XNOR runtime, int8']:.1f}",
        f"{taken['TFLite int8']:.1f} ({vectors(metrics['machine'])})",
    ]


def render_readme(path: Path) -> None:
    """Put the table between the README's two markers.

    Raises:
        LarqDenseError: The file cannot be read or lacks the markers.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LarqDenseError(f"cannot read {path}: {error.strerror}.") from error
    between = re.compile(f"{re.escape(START)}.*?{re.escape(END)}", re.DOTALL)
    if not between.search(text):
        raise LarqDenseError(f"{path} lacks the lines {START} and {END}; add them.")
    write_text(path, between.sub(lambda _: f"{START}\n{entries_table()}\n{END}", text))

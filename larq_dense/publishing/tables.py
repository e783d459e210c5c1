"""The README's table of entries, written from their metrics."""

import re
from pathlib import Path

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_text
from larq_dense.common.markdown import METRIC_TITLES, format_metric, markdown_table, vectors
from larq_dense.publishing.int8 import int8_table
from larq_dense.zoo import entries
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import data_set, split_title

START = "<!-- entries: written by `larq-dense zoo render`, do not edit -->"
END = "<!-- entries end -->"


def entries_table() -> str:
    """Return the table of all entries as Markdown, each figure's command below it."""
    found = [entries.find(name) for name in entries.names()]
    measured = [entry for entry in found if entry.metrics()]
    header = [
        "entry",
        "measured on",
        "metric (baseline)",
        "OPs (baseline)",
        "weights",
        "same labels as Keras",
        "ms (baseline)",
    ]
    rows = [_row(entry, index) for entry in measured for index in range(_sources(entry))]
    commands = "\n".join(
        row["command"] for entry in measured for row in entry.metrics()["accuracy"]
    )
    table = f"{markdown_table(header, rows)}\n\nMetrics by\n\n```\n{commands}\n```"
    variants = [entry for entry in measured if entry.int8().is_published]
    return f"{table}\n\n{int8_table(variants)}" if variants else table


def _sources(entry: Entry) -> int:
    return len(entry.metrics()["accuracy"])


def _row(entry: Entry, index: int) -> list[str]:
    """Return an entry's row for one of its sources; what they share stands in the first."""
    metrics, task = entry.metrics(), entry.task()
    row = metrics["accuracy"][index]
    value = format_metric(task.main_metric, row["metrics"][task.main_metric])
    where = f"{data_set(row['data']).title} ({split_title(row['split'], row['within'])})"
    figure = f"{METRIC_TITLES[task.main_metric]} {value}{_baseline(entry, index)}"
    if index:
        return ["", where, figure, "", "", "", ""]
    complexity = metrics["complexity"]
    size = (entry.folder / "weights.safetensors").stat().st_size
    return [
        f"[`{entry.name}`](zoo/{entry.name}/card.md)",
        where,
        figure,
        f"{complexity['binary']['ops'] / 1e6:.0f} M ({complexity['float']['ops'] / 1e6:.0f} M)",
        f"{size / 1024:.0f} KiB",
        f"{100 * metrics['conversion']['parity']['same_labels']:.3f} %",
        f"{_milliseconds(metrics['latency']['rows'])}, {vectors(metrics['machine'])}",
    ]


def _baseline(entry: Entry, index: int) -> str:
    """Return the full-precision baseline's figure in brackets, if there is one."""
    baseline, metric = entry.baseline().metrics(), entry.task().main_metric
    if not baseline:
        return ""
    return f" ({format_metric(metric, baseline['accuracy'][index]['metrics'][metric])})"


def _milliseconds(rows: list[dict[str, float]]) -> str:
    """Return the fastest binary engine's time, and the full-precision baseline's."""
    taken = {str(row["engine"]): row["milliseconds"] for row in rows}
    baseline = taken["TFLite float32"]
    binary = min(value for engine, value in taken.items() if not engine.startswith("TFLite"))
    return f"{binary:.1f} ({baseline:.1f})"


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

"""The picture on an entry's card: accuracy over OPs, beside the full-precision twin."""

from typing import TYPE_CHECKING, Any

from larq_dense.zoo.card import PICTURE
from larq_dense.zoo.markdown import METRIC_TITLES
from larq_dense.zoo.provenance import data_set

if TYPE_CHECKING:
    from larq_dense.zoo import Entry


def draw_accuracy(entry: "Entry") -> None:
    """Draw an entry, its int8 variant and its twin into the entry's folder, if it has a twin.

    Raises:
        LarqDenseError: The picture cannot be written.
    """
    from larq_dense.evaluation.accuracy_plot import Point, plot_accuracy

    metrics, twin = entry.metrics(), entry.twin().metrics()
    if not twin:
        return
    metric = entry.task().main_metric
    binary, full = (metrics["complexity"][kind]["ops"] for kind in ("binary", "float"))
    rows = {"binary": (binary, metrics["accuracy"])}
    if entry.int8().is_published:
        rows["binary, rest in int8"] = (binary, entry.int8().metrics()["accuracy"])
    rows["full-precision twin"] = (full, twin["accuracy"])
    rows["twin in int8"] = (full, twin["int8"])
    points = {name: Point(ops, _scores(found, metric)) for name, (ops, found) in rows.items()}
    plot_accuracy(points, METRIC_TITLES[metric], entry.name, entry.folder / PICTURE)


def _scores(rows: list[dict[str, Any]], metric: str) -> dict[str, float]:
    return {data_set(row["data"]).title: row["metrics"][metric] for row in rows}

"""The pictures on an entry's card: accuracy over OPs, and how training went."""

from typing import TYPE_CHECKING, Any

from larq_dense.common.markdown import METRIC_TITLES
from larq_dense.publishing.card import CURVE, PICTURE
from larq_dense.zoo.provenance import data_set

if TYPE_CHECKING:
    from larq_dense.zoo import Entry


def draw(entry: "Entry") -> None:
    """Draw the pictures that an entry's card shows.

    Raises:
        LarqDenseError: A picture cannot be written.
    """
    _draw_accuracy(entry)
    _draw_training(entry)


def _draw_accuracy(entry: "Entry") -> None:
    """Draw an entry, its int8 variant and its baseline over their OPs, if it has a baseline."""
    from larq_dense.publishing.accuracy_plot import Point, plot_accuracy

    metrics, baseline = entry.metrics(), entry.baseline().metrics()
    if not baseline:
        return
    metric = entry.task().main_metric
    binary, full = (metrics["complexity"][kind]["ops"] for kind in ("binary", "float"))
    rows = {"binary": (binary, metrics["accuracy"])}
    if entry.int8().is_published:
        rows["binary, rest in int8"] = (binary, entry.int8().metrics()["accuracy"])
    rows["full-precision baseline"] = (full, baseline["accuracy"])
    rows["baseline in int8"] = (full, baseline["int8"])
    points = {name: Point(ops, _scores(found, metric)) for name, (ops, found) in rows.items()}
    plot_accuracy(points, METRIC_TITLES[metric], entry.name, entry.folder / PICTURE)


def _scores(rows: list[dict[str, Any]], metric: str) -> dict[str, float]:
    return {data_set(row["data"]).title: row["metrics"][metric] for row in rows}


def _draw_training(entry: "Entry") -> None:
    """Draw the validation scores of an entry's and its baseline's training, where kept."""
    from larq_dense.publishing.training_plot import plot_training

    curves = {"binary": entry.scores(), "full-precision baseline": entry.baseline().scores()}
    kept = {name: curve for name, curve in curves.items() if curve}
    if kept:
        metric = METRIC_TITLES[entry.task().main_metric]
        plot_training(kept, metric, entry.name, entry.folder / CURVE)

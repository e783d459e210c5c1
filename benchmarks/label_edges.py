"""Measures a network on the pixels that lie away from its labels' edges.

What a network gains by leaving out the pixels at an edge, where one label gives way to another or
to ignored pixels, tells how much of what it misses is the exact course of that edge, which the
size and the origin of the labels limit, too.

    python benchmarks/label_edges.py cityscapes --data ../shared/data/cityscapes256 --split val \
        --labels cityscapes_train_ids
"""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from larq_dense.cli.output import print_table
from larq_dense.common.progress import progress
from larq_dense.tasks.metrics import IGNORE, class_iou, confusion_matrix
from larq_dense.zoo.opening import open_predictor

DISTANCES = range(6)


@click.command()
@click.argument("model")
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--split", required=True)
@click.option("--labels", help="Encoding of the masks, if it cannot be told.")
def main(model: str, data: Path, split: str, labels: str | None) -> None:
    """Print mIoU without the pixels nearer than 0 to 5 pixels to an edge of the labels."""
    opened = open_predictor(model, usual="binary")
    task = opened.task
    classes = len(task.classes)
    confusions = np.zeros((len(DISTANCES), classes, classes), np.int64)
    for sample in progress(task.samples(data, split, labels=labels), "evaluating"):
        label = task.read_label(sample)
        predicted = opened.predictor.predict(sample.image).labels()
        away = distance_to_edge(label)
        for distance in DISTANCES:
            rest = np.where(away < distance, np.uint8(IGNORE), label)
            confusions[distance] += confusion_matrix(predicted, rest, classes)
    everything = confusions[0]
    rows = [
        (
            distance,
            f"{1 - confusion.sum() / everything.sum():.1%}",
            f"{1 - wrong(confusion) / wrong(everything):.1%}",
            f"{np.nanmean(class_iou(confusion)):.1%}",
        )
        for distance, confusion in zip(DISTANCES, confusions, strict=True)
    ]
    print_table(("left out: nearer than", "of the pixels", "of the errors", "mIoU"), rows)


def distance_to_edge(label: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return each pixel's distance to the nearest pixel that touches one of another label.

    A pixel at an edge has distance 0; where a map has no edge, all are infinitely far from it.
    """
    edge = find_boundaries(label, connectivity=1, mode="thick")
    if not edge.any():
        return np.full(label.shape, np.inf)
    return np.asarray(distance_transform_edt(~edge), np.float64)


def wrong(confusion: NDArray[np.int64]) -> int:
    """Return how many pixels are off the diagonal."""
    return int(confusion.sum() - np.trace(confusion))


if __name__ == "__main__":
    main()

"""What a task is measured by. Every figure is a fraction in 0…1."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError

IGNORE = 255
# KITTI's development kit and pysodmetrics both look at 256 equally spaced thresholds.
THRESHOLDS = 256


class Metrics(Protocol):
    """Gathers pictures and sums them up."""

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Pixels by true class (rows) and predicted class (columns)."""

    def update(self, probabilities: NDArray[np.float32], label: NDArray[np.uint8]) -> None:
        """Add one picture.

        Args:
            probabilities: float32 `[height, width, outputs]`, at the label's size.
            label: uint8 `[height, width]`, the task's class ids; 255 is left out.
        """

    def result(self) -> dict[str, Any]:
        """Return `{"metrics": {name: value}, "per_class": {name: {"iou": value}}, "images": n}`.

        Raises:
            DataError: No labelled pixel was seen.
        """


class SegmentationMetrics:
    """Mean intersection over union from one confusion matrix over all pictures.

    As in the official Cityscapes script: a class that neither occurs nor is predicted on an
    evaluated pixel has no IoU (None) and does not enter the mean.
    """

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self._confusion = np.zeros((len(class_names), len(class_names)), np.int64)
        self._images = 0

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Pixels by true class (rows) and predicted class (columns)."""
        return self._confusion

    def update(self, probabilities: NDArray[np.float32], label: NDArray[np.uint8]) -> None:
        """Add one picture; see `Metrics.update`."""
        check_shapes(probabilities, label, len(self.class_names))
        self.add_prediction(probabilities.argmax(axis=-1), label)

    def add_prediction(self, predicted: NDArray[np.integer[Any]], label: NDArray[np.uint8]) -> None:
        """Add one picture whose classes are already decided."""
        count = len(self.class_names)
        valid = label != IGNORE
        pairs = label[valid].astype(np.int64) * count + predicted[valid]
        self._confusion += np.bincount(pairs, minlength=count**2).reshape(count, count)
        self._images += 1

    def iou(self) -> NDArray[np.float64]:
        """Return each class's intersection over union, NaN where it has none."""
        hits = np.diag(self._confusion).astype(np.float64)
        union = self._confusion.sum(axis=0) + self._confusion.sum(axis=1) - hits
        return np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)

    def result(self) -> dict[str, Any]:
        """Sum up; see `Metrics.result`."""
        total = int(self._confusion.sum())
        if total == 0:
            raise DataError("no labelled pixel was seen, so there is nothing to measure.")
        iou = self.iou()
        return {
            "metrics": {
                "miou": float(np.nanmean(iou)),
                "pixel_accuracy": float(np.trace(self._confusion) / total),
            },
            "per_class": {
                name: {"iou": None if np.isnan(value) else float(value)}
                for name, value in zip(self.class_names, iou, strict=True)
            },
            "images": self._images,
        }


class RoadMetrics:
    """KITTI road's pixel measures, in the camera's perspective view.

    Over all pictures together, at 256 thresholds on the road's probability, after Fritsch et
    al., "A New Performance Measure and Evaluation Benchmark for Road Detection Algorithms"
    (ITSC 2013): F1 = 2·precision·recall / (precision + recall); MaxF is its largest value.
    Precision, recall and IoU are given at the threshold of MaxF. The benchmark's leaderboard
    measures the same in bird's-eye view, where far pixels weigh more: its figures are another
    thing and not to be compared with these.
    """

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self._decided = SegmentationMetrics(class_names)
        # Pixels by the highest threshold that they reach.
        self._road = np.zeros(THRESHOLDS, np.int64)
        self._other = np.zeros(THRESHOLDS, np.int64)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Pixels by true class (rows) and most probable class (columns)."""
        return self._decided.confusion

    def update(self, probabilities: NDArray[np.float32], label: NDArray[np.uint8]) -> None:
        """Add one picture; see `Metrics.update`."""
        self._decided.update(probabilities, label)
        steps = (probabilities[..., 1] * (THRESHOLDS - 1)).astype(np.int64)
        self._road += np.bincount(steps[label == 1], minlength=THRESHOLDS)
        self._other += np.bincount(steps[label == 0], minlength=THRESHOLDS)

    def result(self) -> dict[str, Any]:
        """Sum up; see `Metrics.result`."""
        result = self._decided.result()
        # Pixels at or above each threshold.
        hits = np.cumsum(self._road[::-1])[::-1].astype(np.float64)
        false = np.cumsum(self._other[::-1])[::-1].astype(np.float64)
        positives = max(float(self._road.sum()), 1.0)
        precision = hits / np.maximum(hits + false, 1)
        recall = hits / positives
        scores = 2 * hits / np.maximum(hits + false + positives, 1)
        best = int(scores.argmax())
        result["metrics"] = {
            "maxf": float(scores[best]),
            "precision": float(precision[best]),
            "recall": float(recall[best]),
            "iou": float(hits[best] / max(positives + false[best], 1)),
            "threshold": best / (THRESHOLDS - 1),
            **result["metrics"],
        }
        return result


def check_shapes(
    probabilities: NDArray[np.float32], label: NDArray[np.uint8], outputs: int
) -> None:
    """Raise ValueError unless the probabilities are `[*label.shape, outputs]`."""
    expected = (*label.shape, outputs)
    if probabilities.shape != expected:
        raise ValueError(
            f"probabilities must be {list(expected)}, as the label map and the classes ask, "
            f"not {list(probabilities.shape)}."
        )

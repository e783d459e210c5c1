"""What a task is measured by. Every figure is a fraction in 0…1."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError

IGNORE = 255
# KITTI's development kit and pysodmetrics both look at 256 equally spaced thresholds.
THRESHOLDS = 256
_PART = 1 << 18


class Metrics(Protocol):
    """Gathers pictures and sums them up.

    Examples:
        >>> from larq_dense import tasks
        >>> metrics = tasks.get("cityscapes").new_metrics()
        >>> label = np.array([[0, 0], [1, 255]], np.uint8)
        >>> metrics.update(np.array([[0, 1], [1, 1]], np.uint8), label)
        >>> metrics.result()["metrics"]["miou"]
        0.5
    """

    @property
    def uses_probability(self) -> bool:
        """Whether `update` needs the probability of class 1."""

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Pixels by true and predicted class, `[classes, classes]`."""

    def update(
        self,
        predicted: NDArray[np.uint8],
        label: NDArray[np.uint8],
        probability: NDArray[np.float32] | None = None,
    ) -> None:
        """Add one picture.

        Args:
            predicted: uint8 `[height, width]`, the task's class ids.
            label: uint8 `[height, width]`, the true ones; 255 is left out.
            probability: float32 `[height, width]`, 0…1: of class 1, such as the road or the
                object.
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

    uses_probability = False

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self._confusion = np.zeros((len(class_names), len(class_names)), np.int64)
        self._images = 0

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Pixels by true class (rows) and predicted class (columns)."""
        return self._confusion

    def update(
        self,
        predicted: NDArray[np.uint8],
        label: NDArray[np.uint8],
        probability: NDArray[np.float32] | None = None,
    ) -> None:
        """Add one picture; see `Metrics.update`."""
        self._confusion += confusion_matrix(predicted, label, len(self.class_names))
        self._images += 1

    def iou(self) -> NDArray[np.float64]:
        """Return each class's intersection over union, NaN where it has none."""
        return class_iou(self._confusion)

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


class RoadMetrics(SegmentationMetrics):
    """KITTI road's pixel measures, in the camera's perspective view.

    Over all pictures together, at 256 thresholds on the road's probability, after Fritsch et
    al., "A New Performance Measure and Evaluation Benchmark for Road Detection Algorithms"
    (ITSC 2013): F1 = 2·precision·recall / (precision + recall); MaxF is its largest value.
    Precision, recall and IoU are given at the threshold of MaxF. The benchmark's leaderboard
    measures the same in bird's-eye view, where far pixels weigh more: its figures are another
    thing and not to be compared with these.
    """

    uses_probability = True

    def __init__(self, class_names: tuple[str, ...]) -> None:
        super().__init__(class_names)
        # Pixels by the highest threshold that they reach.
        self._road = np.zeros(THRESHOLDS, np.int64)
        self._other = np.zeros(THRESHOLDS, np.int64)

    def update(
        self,
        predicted: NDArray[np.uint8],
        label: NDArray[np.uint8],
        probability: NDArray[np.float32] | None = None,
    ) -> None:
        """Add one picture; see `Metrics.update`."""
        probability = check_probability(probability, label)
        super().update(predicted, label)
        steps = (probability * (THRESHOLDS - 1)).astype(np.uint8)
        self._road += np.bincount(steps[label == 1], minlength=THRESHOLDS)
        self._other += np.bincount(steps[label == 0], minlength=THRESHOLDS)

    def result(self) -> dict[str, Any]:
        """Sum up; see `Metrics.result`."""
        result = super().result()
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


def confusion_matrix(
    predicted: NDArray[np.integer[Any]], label: NDArray[np.uint8], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Args:
        predicted: Class ids of any shape.
        label: uint8 of the same shape; 255 is left out.
        classes: How many classes there are.

    Returns:
        int64 `[true class, predicted class]`.

    Raises:
        ValueError: The two have different sizes.
    """
    if predicted.shape != label.shape:
        raise ValueError(
            f"the predicted labels are {list(predicted.shape)}, but the true ones "
            f"{list(label.shape)}."
        )
    counts = np.zeros(classes * classes, np.int64)
    # Part by part: `bincount` makes eight bytes of each pixel.
    for start in range(0, label.size, _PART):
        part = slice(start, start + _PART)
        truth, found = label.reshape(-1)[part], predicted.reshape(-1)[part]
        valid = truth != IGNORE
        pairs = truth[valid].astype(np.int64) * classes + found[valid]
        counts += np.bincount(pairs, minlength=counts.size)
    return counts.reshape(classes, classes)


def class_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each class's intersection over union, NaN for one that is nowhere.

    Args:
        confusion: int64 `[true class, predicted class]`.
    """
    hits = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)


def check_probability(
    probability: NDArray[np.float32] | None, label: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return the probability; raise ValueError unless it has the label map's shape."""
    if probability is None or probability.shape != label.shape:
        shape = None if probability is None else list(probability.shape)
        raise ValueError(f"the probability must be {list(label.shape)}, not {shape}.")
    return probability

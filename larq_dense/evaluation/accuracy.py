"""A task's metrics over a Keras model or a converted file alike."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError
from larq_dense.common.images import ImageLike
from larq_dense.common.labels import Scores
from larq_dense.tasks import Sample, Task
from larq_dense.tasks.metrics import class_iou, confusion_matrix


class Predicts(Protocol):
    """What `evaluate` asks of a predictor; `larq_dense.Predictor` is one."""

    def predict(self, image: ImageLike) -> Scores:
        """Return what gives labels and probabilities at the picture's size."""


@dataclass(frozen=True)
class Scored:
    """How well one picture was labelled.

    Attributes:
        sample: The picture and its mask.
        iou: Mean intersection over union of the classes seen in label or prediction, 0…1.

    Examples:
        >>> from larq_dense import Predictor, evaluation, tasks
        >>> task = tasks.get("ecssd")
        >>> samples = task.samples("people", "val")
        >>> measured = evaluation.measure(Predictor("ecssd.tflite"), task, samples)
        >>> worst = min(measured.scored, key=lambda scored: scored.iou)
        >>> 0 <= worst.iou <= 1
        True
    """

    sample: Sample
    iou: float


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation measured.

    Attributes:
        metrics: The task's metrics over all pictures.
        per_class: For each class its own metrics.
        images: How many pictures were measured.
        confusion: Pixels, int64 `[true class, predicted class]`, or None for a task without.
        scored: Every picture with its own score, in the order of the samples.
        per_category: For each of the groups that a task's classes form its metrics, if any.

    Examples:
        >>> from larq_dense import Predictor, evaluation, tasks
        >>> task = tasks.get("ecssd")
        >>> samples = task.samples("people", "val")
        >>> measured = evaluation.measure(Predictor("ecssd.tflite"), task, samples)
        >>> measured.images, "maxf" in measured.metrics
        (2, True)
    """

    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]]
    images: int
    confusion: NDArray[np.int64] | None
    scored: tuple[Scored, ...]
    per_category: dict[str, dict[str, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics, those per class and the number of pictures, JSON-ready."""
        found = {"metrics": self.metrics, "per_class": self.per_class, "images": self.images}
        if self.per_category:
            found["per_category"] = self.per_category
        return found


def measure(
    predictor: Predicts,
    task: Task,
    samples: Iterable[Sample],
) -> Evaluation:
    """Predict every sample at its own size and hold the prediction against its mask.

    Args:
        predictor: Anything with `predict(image)`.
        task: Reads the masks and defines the metrics.
        samples: Pictures with masks.

    Returns:
        Metrics in 0…1, over all pictures and of each.

    Raises:
        DataError: There is no sample, a file is missing or damaged, a mask has another size than
            its picture, or a prediction has another number of classes than the task.

    Examples:
        >>> from larq_dense import Predictor, evaluation, tasks
        >>> task = tasks.get("ecssd")
        >>> samples = task.samples("people", "val")
        >>> evaluation.measure(Predictor("ecssd.tflite"), task, samples).images
        2
    """
    totals = task.new_metrics()
    scored = []
    for sample in samples:
        label = task.read_label(sample)
        prediction = predictor.predict(sample.image)
        shape = [prediction.height, prediction.width, prediction.channels]
        if shape != [*label.shape, task.num_outputs]:
            raise DataError(
                f"the prediction for {sample.image} has shape {shape}, but its mask and the task "
                f"{task.name} ask for {[*label.shape, task.num_outputs]}; use a model of that task."
            )
        predicted = prediction.labels()
        probability = prediction.probability(1) if totals.uses_probability else None
        totals.update(predicted, label, probability)
        scored.append(Scored(sample, picture_iou(predicted, label, task)))
    if not scored:
        raise DataError("there is no picture to evaluate; choose another split or list.")
    result = totals.result()
    return Evaluation(
        metrics=result["metrics"],
        per_class=result["per_class"],
        images=result["images"],
        confusion=totals.confusion,
        scored=tuple(scored),
        per_category=result.get("per_category", {}),
    )


def evaluate(
    predictor: Predicts,
    task: Task,
    samples: Iterable[Sample],
) -> dict[str, Any]:
    """Return `measure`'s figures: `{"metrics": {…}, "per_class": {…}, "images": n}`.

    Args:
        predictor: Anything with `predict(image)`.
        task: Reads the masks and defines the metrics.
        samples: Pictures with masks.

    Returns:
        JSON-ready; metrics are in 0…1.

    Raises:
        DataError: See `measure`.

    Examples:
        >>> from larq_dense import Predictor, evaluation, tasks
        >>> task = tasks.get("ecssd")
        >>> samples = task.samples("people", "val")
        >>> sorted(evaluation.evaluate(Predictor("ecssd.tflite"), task, samples))
        ['images', 'metrics', 'per_class']
    """
    return measure(predictor, task, samples).to_dict()


def picture_iou(predicted: NDArray[np.uint8], label: NDArray[np.uint8], task: Task) -> float:
    """Return one picture's mean intersection over union.

    Args:
        predicted: uint8 `[height, width]`.
        label: uint8 `[height, width]`, with the task's ignore value where nothing counts.
        task: Gives the classes; of a saliency task only the object counts.

    Returns:
        The mean over the classes seen in label or prediction, 0…1; 1 where no pixel counts.
    """
    ious = class_iou(confusion_matrix(predicted, label, len(task.classes)))
    if task.num_outputs == 1:
        ious = ious[1:]
    return 1.0 if np.isnan(ious).all() else float(np.nanmean(ious))

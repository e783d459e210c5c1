"""Measuring predictions: metrics, per-picture scores, and what must not be measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from larq_dense import Predictor, tasks
from larq_dense.common.errors import DataError
from larq_dense.common.images import read_image
from larq_dense.common.labels import Prediction
from larq_dense.evaluation import evaluate, measure
from larq_dense.evaluation.accuracy import picture_iou


class Fixed:
    """Gives every picture the probabilities that were prepared for its size."""

    def __init__(self, maps: list[NDArray[np.float32]]) -> None:
        self._maps = {each.shape[:2]: each for each in maps}

    def predict(self, image: Any) -> Prediction:
        image = read_image(image)
        # Not quite 0: between infinite logits there is nothing to compare.
        logits = np.log(self._maps[image.shape[:2]] + 1e-9)
        return Prediction(logits.astype(np.float32), *image.shape[:2])


def read(street: Path, folder: str) -> list[NDArray[np.uint8]]:
    return [np.asarray(Image.open(path)) for path in sorted((street / folder).glob("*.png"))]


def iou_by_hand(
    predictions: list[NDArray[Any]], labels: list[NDArray[np.uint8]], value: int
) -> float:
    """Count pixel by pixel, in plain Python."""
    both = either = 0
    for predicted, label in zip(predictions, labels, strict=True):
        for p, t in zip(predicted.ravel().tolist(), label.ravel().tolist(), strict=True):
            if t != 255:
                both += p == t == value
                either += value in (p, t)
    return both / either


def test_metrics_equal_a_count_pixel_by_pixel(street: Path) -> None:
    labels = read(street, "masks")
    random = np.random.default_rng(2)
    maps = [random.dirichlet([1, 1], label.shape).astype(np.float32) for label in labels]
    task = tasks.get("cityscapes")
    found = measure(Fixed(maps), task, task.samples(street, "val"))
    predictions = [each.argmax(axis=-1) for each in maps]
    ious = [iou_by_hand(predictions, labels, value) for value in (0, 1)]
    assert found.images == 4
    assert found.metrics["miou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert found.per_class["drivable"]["iou"] == pytest.approx(ious[1], abs=1e-12)
    assert found.confusion is not None
    assert found.confusion.sum() == sum((label != 255).sum() for label in labels)
    assert [each.sample.stem for each in found.scored] == [f"frame{i}" for i in range(4)]
    for each, predicted, label in list(zip(found.scored, predictions, labels, strict=True))[:3]:
        alone = np.mean([iou_by_hand([predicted], [label], value) for value in (0, 1)])
        assert each.iou == pytest.approx(alone, abs=1e-12)


def test_a_perfect_prediction_scores_one(street: Path) -> None:
    labels = read(street, "masks")
    maps = [np.stack([label != 1, label == 1], axis=-1).astype(np.float32) for label in labels]
    task = tasks.get("cityscapes")
    found = evaluate(Fixed(maps), task, task.samples(street, "val"))
    assert found["metrics"]["miou"] == 1
    assert found["images"] == 4


def test_a_keras_model_is_measured_at_each_picture_s_own_size(
    street: Path, small_binary: Any
) -> None:
    task = tasks.get("cityscapes")
    found = measure(Predictor(small_binary), task, task.samples(street, "val"))
    predictions = []
    for pixels in read(street, "images"):
        resized = Image.fromarray(pixels).resize((64, 32), Image.Resampling.BILINEAR)
        logits = small_binary((np.asarray(resized, np.float32)[None] - 127.5) / 127.5)[0].numpy()
        size = (pixels.shape[1], pixels.shape[0])
        planes = [Image.fromarray(logits[..., c]).resize(size, 2) for c in range(2)]
        predictions.append(np.asarray(planes[1]) > np.asarray(planes[0]))
    labels = read(street, "masks")
    ious = [iou_by_hand(predictions, labels, value) for value in (0, 1)]
    assert 0.05 < np.mean(ious) < 0.95
    assert found.metrics["miou"] == pytest.approx(np.mean(ious), abs=1e-9)


@pytest.mark.parametrize(
    ("predicted", "label", "expected"),
    [
        ([[0, 0]], [[0, 0]], 1.0),
        ([[1, 1]], [[0, 0]], 0.0),
        ([[0, 1]], [[0, 255]], 1.0),
        ([[1, 1]], [[255, 255]], 1.0),
        ([[0, 1, 1, 1]], [[0, 0, 1, 1]], (1 / 2 + 2 / 3) / 2),
    ],
)
def test_a_picture_s_score(
    predicted: list[list[int]], label: list[list[int]], expected: float
) -> None:
    arrays = (np.array(each, np.uint8) for each in (predicted, label))
    assert picture_iou(*arrays, tasks.get("cityscapes")) == pytest.approx(expected)


def test_a_picture_s_score_for_saliency_is_that_of_the_object() -> None:
    predicted, label = np.array([[0, 0, 0, 1]], np.uint8), np.array([[0, 0, 1, 1]], np.uint8)
    assert picture_iou(predicted, label, tasks.get("ecssd")) == 0.5


def test_a_model_of_other_classes_is_refused(street: Path) -> None:
    task = tasks.get("cityscapes")
    maps = [np.zeros((*label.shape, 11), np.float32) for label in read(street, "masks")]
    with pytest.raises(DataError, match="use a model of that task"):
        evaluate(Fixed(maps), task, task.samples(street, "val"))


def test_no_picture_is_an_error() -> None:
    with pytest.raises(DataError, match="no picture to evaluate"):
        evaluate(Fixed([]), tasks.get("cityscapes"), [])

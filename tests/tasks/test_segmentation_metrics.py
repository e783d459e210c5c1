"""Mean IoU against the official Cityscapes script and against a count by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import id2label, labels, trainId2label
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from larq_dense import tasks
from larq_dense.tasks.metrics import SegmentationMetrics, confusion_matrix

SIZE = (24, 40)
FRAMES = ("aachen_000000_000019", "aachen_000001_000019", "ulm_000000_000019")


@pytest.fixture
def cityscapes(tmp_path: Path, write: Any) -> Path:
    """Three frames with every label id, in the benchmark's folders."""
    rng = np.random.default_rng(3)
    ids = [label.id for label in labels if label.id >= 0]
    for frame in FRAMES:
        city = frame.split("_")[0]
        truth = rng.choice(ids, SIZE)
        write(tmp_path / f"gtFine/val/{city}/{frame}_gtFine_labelIds.png", truth)
        image = rng.integers(0, 256, (*SIZE, 3))
        write(tmp_path / f"leftImg8bit/val/{city}/{frame}_leftImg8bit.png", image)
    return tmp_path


def official_miou(predictions: list[Path], truths: list[Path]) -> dict[str, Any]:
    official.args.evalInstLevelScore = False
    official.args.JSONOutput = False
    official.args.quiet = True
    files = [str(path) for path in predictions], [str(path) for path in truths]
    found: dict[str, Any] = official.evaluateImgLists(*files, official.args)
    return found


def test_nineteen_classes_equal_the_official_script(cityscapes: Path, write: Any) -> None:
    task = tasks.get("cityscapes19")
    samples = task.samples(cityscapes, "val")
    assert [sample.stem for sample in samples] == list(FRAMES)
    rng = np.random.default_rng(4)
    metrics = task.new_metrics()
    predictions = []
    for sample in samples:
        truth = task.read_label(sample)
        # Right about half of the time; never the classes 17 and 18.
        guess = np.where(rng.random(SIZE) < 0.5, truth, rng.integers(0, 17, SIZE))
        guess = np.where(guess > 16, 0, guess).astype(np.uint8)
        metrics.update(guess, truth)
        ids = np.array([trainId2label[i].id for i in range(19)])[guess]
        predictions.append(write(cityscapes / "results" / f"{sample.stem}.png", ids))
    expected = official_miou(predictions, [sample.mask for sample in samples if sample.mask])
    result = metrics.result()
    assert result["metrics"]["miou"] == pytest.approx(expected["averageScoreClasses"], abs=1e-12)
    for name, scores in result["per_class"].items():
        assert scores["iou"] == pytest.approx(expected["classScores"][name], abs=1e-12)
    assert result["metrics"]["category_miou"] == pytest.approx(
        expected["averageScoreCategories"], abs=1e-12
    )
    assert len(result["per_category"]) == 7
    for name, scores in result["per_category"].items():
        assert scores["iou"] == pytest.approx(expected["categoryScores"][name], abs=1e-12)


def test_drivable_area_equals_the_official_script(cityscapes: Path, write: Any) -> None:
    """The script sees the two classes as road and building; what it ignores stays ignored."""
    task = tasks.get("cityscapes")
    rng = np.random.default_rng(5)
    metrics = task.new_metrics()
    predictions, truths = [], []
    for sample in task.samples(cityscapes, "val"):
        assert sample.mask is not None
        truth = task.read_label(sample)
        guess = rng.random(SIZE) < np.where(truth == 1, 0.8, 0.1)
        metrics.update(guess.astype(np.uint8), truth)
        ids = official.np.array(official.Image.open(sample.mask))
        ignored = np.vectorize(lambda value: id2label[value].ignoreInEval)(ids)
        two = np.where(ignored, ids, np.where(ids == 7, 7, 11))
        name = f"{sample.stem}.png"
        truths.append(write(cityscapes / "two" / name, two))
        predictions.append(write(cityscapes / "results" / name, np.where(guess, 7, 11)))
    expected = official_miou(predictions, truths)
    result = metrics.result()
    assert result["metrics"]["miou"] == pytest.approx(expected["averageScoreClasses"], abs=1e-12)
    assert result["per_class"]["drivable"]["iou"] == pytest.approx(expected["classScores"]["road"])


@st.composite
def predictions_and_labels(draw: st.DrawFn) -> tuple[int, NDArray[Any], NDArray[np.uint8]]:
    classes = draw(st.integers(2, 6))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = rng.choice([*range(classes), 255], shape).astype(np.uint8)
    return classes, rng.integers(0, classes, shape).astype(np.uint8), label


@settings(deadline=None)
@given(predictions_and_labels())
def test_confusion_is_a_count(case: tuple[int, NDArray[Any], NDArray[np.uint8]]) -> None:
    classes, predicted, label = case
    metrics = SegmentationMetrics(tuple("abcdef"[:classes]))
    metrics.update(predicted, label)
    expected = np.zeros((classes, classes), int)
    for row, column in np.ndindex(label.shape):
        if label[row, column] != 255:
            expected[label[row, column], predicted[row, column]] += 1
    np.testing.assert_array_equal(metrics.confusion, expected)
    if not expected.sum():
        return
    result = metrics.result()
    scores = [
        np.sum((label == c) & (predicted == c))
        / np.sum((label == c) | ((predicted == c) & (label != 255)))
        for c in range(classes)
        if np.any((label == c) | ((predicted == c) & (label != 255)))
    ]
    assert result["metrics"]["miou"] == pytest.approx(np.mean(scores))
    assert result["metrics"]["pixel_accuracy"] == pytest.approx(np.trace(expected) / expected.sum())


def test_a_class_that_never_occurs_has_no_iou() -> None:
    metrics = tasks.get("camvid").new_metrics()
    label = np.zeros((2, 2), np.uint8)
    metrics.update(label, label)
    result = metrics.result()
    assert result["metrics"]["miou"] == 1
    assert result["per_class"]["car"]["iou"] is None


def test_labels_of_another_shape_are_refused() -> None:
    metrics = tasks.get("camvid").new_metrics()
    with pytest.raises(ValueError, match=r"\[2, 3\].*\[2, 2\]"):
        metrics.update(np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint8))


def test_a_large_picture_is_counted_in_parts() -> None:
    label = np.random.default_rng(0).choice([0, 1, 255], (700, 800)).astype(np.uint8)
    predicted = np.random.default_rng(1).integers(0, 2, label.shape).astype(np.uint8)
    expected = [[np.sum((label == t) & (predicted == p)) for p in (0, 1)] for t in (0, 1)]
    np.testing.assert_array_equal(confusion_matrix(predicted, label, 2), expected)

"""KITTI's measures against a count at every threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from larq_dense import tasks


def by_hand(
    probabilities: list[NDArray[np.float32]], labels: list[NDArray[np.uint8]]
) -> dict[str, float]:
    scores = np.concatenate([p[..., 1].ravel() for p in probabilities])
    truth = np.concatenate([label.ravel() for label in labels])
    scores, truth = scores[truth != 255], truth[truth != 255] == 1
    best = {"maxf": -1.0}
    for step in range(256):
        # The same float32 product as a saved 8-bit map of confidences would be cut from.
        chosen = np.floor(scores * np.float32(255)) >= step
        hits = np.sum(chosen & truth)
        precision = hits / max(chosen.sum(), 1)
        recall = hits / max(truth.sum(), 1)
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        if f1 > best["maxf"] + 1e-12:
            iou = hits / max(np.sum(chosen | truth), 1)
            best = {"maxf": f1, "precision": precision, "recall": recall, "iou": iou}
            best["threshold"] = step / 255
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_maxf_is_the_best_f1_of_all_thresholds(
    pictures: int, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    metrics = tasks.get("kitti_road").new_metrics()
    probabilities, labels = [], []
    for _ in range(pictures):
        label = rng.choice([0, 0, 1, 255], (height, width)).astype(np.uint8)
        label[0, 0] = 0
        road = np.clip(rng.normal(0.4, 0.3, label.shape) + 0.3 * (label == 1), 0, 1)
        probability = np.stack([1 - road, road], axis=-1).astype(np.float32)
        metrics.update(probability.argmax(-1).astype(np.uint8), label, probability[..., 1])
        probabilities.append(probability)
        labels.append(label)
    result = metrics.result()["metrics"]
    for name, value in by_hand(probabilities, labels).items():
        assert result[name] == pytest.approx(value, abs=1e-9), name


def test_threshold_is_chosen_over_all_pictures_together() -> None:
    """Two pictures whose best thresholds differ share one."""
    metrics = tasks.get("kitti_road").new_metrics()
    label = np.array([[0, 1]], np.uint8)
    for other, road in ((0.1, 0.3), (0.5, 0.9)):
        scores = np.array([[other, road]], np.float32)
        metrics.update((scores > 0.5).astype(np.uint8), label, scores)
    result = metrics.result()["metrics"]
    # All but the 0.1 are at or above 0.3: two hits, one false alarm.
    assert result["maxf"] == pytest.approx(0.8)
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["recall"] == 1
    assert result["iou"] == pytest.approx(2 / 3)


def test_no_road_scores_nothing() -> None:
    metrics = tasks.get("kitti_road").new_metrics()
    nothing = np.zeros((2, 2), np.uint8)
    metrics.update(nothing, nothing, np.full((2, 2), 0.5, np.float32))
    assert metrics.result()["metrics"]["maxf"] == 0

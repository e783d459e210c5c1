"""The measures of salient objects against pysodmetrics on saved maps and a count by hand."""

import warnings

import numpy as np
import py_sod_metrics
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from larq_dense import tasks

Maps = list[tuple[NDArray[np.float32], NDArray[np.uint8]]]


def maps(count: int, height: int, width: int, seed: int) -> Maps:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        label = (rng.random((height, width)) < 0.4).astype(np.uint8)
        scores = np.clip(rng.normal(0.3, 0.2, label.shape) + 0.3 * label, 0, 1)
        found.append((scores.astype(np.float32), label))
    return found


def measure(cases: Maps) -> dict[str, float]:
    metrics = tasks.get("ecssd").new_metrics()
    for scores, label in cases:
        metrics.update((scores >= 0.5).astype(np.uint8), label, scores)
    found: dict[str, float] = metrics.result()["metrics"]
    return found


def test_measures_equal_pysodmetrics_on_saved_maps() -> None:
    cases = maps(4, 20, 30, 0)
    with warnings.catch_warnings():
        # The library's older class: another implementation of the same measure.
        warnings.simplefilter("ignore")
        fmeasure = py_sod_metrics.Fmeasure(beta=0.3)
    others = py_sod_metrics.MAE(), py_sod_metrics.Smeasure(), py_sod_metrics.Emeasure()
    for scores, label in cases:
        saved = np.rint(scores * 255).astype(np.uint8)
        for judge in (fmeasure, *others):
            judge.step(pred=saved, gt=label * np.uint8(255))
    found = measure(cases)
    mae, structure, alignment = (judge.get_results() for judge in others)
    assert found["maxf"] == pytest.approx(fmeasure.get_results()["fm"]["curve"].max())
    assert found["mae"] == pytest.approx(mae["mae"])
    assert found["s_measure"] == pytest.approx(structure["sm"])
    assert found["e_measure"] == pytest.approx(alignment["em"]["curve"].mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_maxf_and_mae_by_hand(count: int, height: int, width: int, seed: int) -> None:
    cases = maps(count, height, width, seed)
    curves, errors = [], []
    for scores, label in cases:
        saved = np.rint(scores * 255) / 255
        spread = saved.max() - saved.min()
        stretched = (saved - saved.min()) / spread if spread else saved
        errors.append(np.abs(stretched - label).mean())
        levels = (stretched * 255).astype(np.uint8)
        curve = []
        for threshold in range(256):
            chosen = levels >= threshold
            hits = float(np.sum(chosen & (label == 1)))
            precision = hits / max(chosen.sum(), 1)
            recall = hits / max(label.sum(), 1)
            bottom = 0.3 * precision + recall
            curve.append(1.3 * precision * recall / bottom if bottom else 0.0)
        curves.append(curve)
    found = measure(cases)
    assert found["maxf"] == pytest.approx(np.mean(curves, axis=0).max())
    assert found["mae"] == pytest.approx(np.mean(errors))


def test_a_perfect_map_scores_one() -> None:
    label = np.zeros((12, 12), np.uint8)
    label[3:9, 4:10] = 1
    found = measure([(label.astype(np.float32), label)])
    assert found["maxf"] == pytest.approx(1)
    assert found["mae"] == 0
    assert found["s_measure"] == pytest.approx(1)


def test_an_object_in_the_last_column_is_measured() -> None:
    label = np.zeros((4, 5), np.uint8)
    label[:, -1] = 1
    assert measure([(label.astype(np.float32), label)])["s_measure"] == pytest.approx(1)


def test_confusion_is_of_the_predicted_labels() -> None:
    metrics = tasks.get("ecssd").new_metrics()
    scores = np.array([[0.49, 0.5], [0.2, 0.9]], np.float32)
    label = np.array([[0, 0], [1, 1]], np.uint8)
    metrics.update((scores >= 0.5).astype(np.uint8), label, scores)
    np.testing.assert_array_equal(metrics.confusion, [[1, 1], [1, 1]])
    assert metrics.result()["per_class"]["object"]["iou"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("value", [0, 1])
def test_a_one_pixel_picture_is_measured(value: int) -> None:
    label = np.full((1, 1), value, np.uint8)
    found = measure([(label.astype(np.float32), label)])
    assert found["mae"] == 0
    assert all(np.isfinite(figure) for figure in found.values())

"""Constants on logits: the search against known answers, and a run that uses it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from larq_dense.common.errors import RecipeError
from larq_dense.training import Recipe, train
from larq_dense.training.offsets import best_offsets, mean_iou

Make = Callable[..., Recipe]


def _pixels(seed: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return scores that tell the classes well enough, of which some are rare."""
    rng = np.random.default_rng(seed)
    shares = 0.5 ** np.arange(classes)
    labels = rng.choice(classes, 3000, p=shares / shares.sum()).astype(np.uint8)
    scores = rng.normal(0, 1, (3000, classes)) + 2.5 * np.eye(classes)[labels]
    return scores.astype(np.float32), labels


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 12), st.integers(1, 300))
def test_mean_iou_is_that_of_sets_of_pixels(seed: int, classes: int, count: int) -> None:
    scores, labels = (array[:count] for array in _pixels(seed, classes))
    sets = [(labels == index, scores.argmax(1) == index) for index in range(classes)]
    ious = [np.sum(true & said) / np.sum(true | said) for true, said in sets if np.any(true | said)]
    assert mean_iou(scores, labels) == pytest.approx(np.mean(ious))


def test_no_pixel_has_no_mean_iou() -> None:
    scores, labels = (array[:0] for array in _pixels(0, 3))
    assert mean_iou(scores, labels) == 0
    np.testing.assert_array_equal(best_offsets(scores, labels), 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 6))
def test_constants_are_found_again(seed: int, classes: int) -> None:
    scores, labels = _pixels(seed, classes)
    before = mean_iou(scores, labels)
    best = best_offsets(scores, labels)
    assert mean_iou(scores + best, labels) >= before
    shift = np.random.default_rng(seed).choice([-1.5, 0, 1.5], classes).astype(np.float32)
    shifted = scores + shift
    found = mean_iou(shifted + best_offsets(shifted, labels), labels)
    # A search of one class at a time ends near the best, not always at it.
    assert found == pytest.approx(mean_iou(scores + best, labels), abs=0.03)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**16), st.integers(3, 5), st.data())
def test_nothing_is_gained_by_suppressing_a_class_without_pixels(
    seed: int, classes: int, data: st.DataObject
) -> None:
    scores, labels = _pixels(seed, classes)
    absent = data.draw(st.integers(0, classes - 1))
    scores, labels = scores[labels != absent], labels[labels != absent]
    scores[:, absent] += 1  # The network takes many pixels for it.
    offsets = best_offsets(scores, labels)
    others = np.delete(offsets, absent)
    assert offsets[absent] == 0
    assert others.mean() == pytest.approx(0, abs=1e-5)
    # What is chosen among the others is what would be chosen without it.
    alone = best_offsets(
        np.delete(scores, absent, 1), np.where(labels > absent, labels - 1, labels)
    )
    np.testing.assert_allclose(others, alone - alone.mean(), atol=1e-5)


@pytest.mark.usefixtures("tiny_model")
def test_only_the_last_bias_of_what_is_kept_changes(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    for count in (0, 5):
        recipe = make_recipe(epochs=1, class_offsets=count)
        train(recipe, data_root, tmp_path / str(count), progress=False)
    states, bests = (
        [load_file(tmp_path / count / file) for count in "05"]
        for file in ("checkpoint/state.safetensors", "best.safetensors")
    )
    for name, value in states[0].items():
        np.testing.assert_array_equal(states[1][name], value, err_msg=name)
    for name, value in bests[0].items():
        assert np.array_equal(bests[1][name], value) != (name == "head/bias:0"), name
    change = bests[1]["head/bias:0"] - bests[0]["head/bias:0"]
    np.testing.assert_allclose(change * 8, np.round(change * 8), atol=1e-3)


def test_where_they_mean_nothing_they_are_refused(make_recipe: Make, tmp_path: Path) -> None:
    saliency = make_recipe(task="ecssd", class_offsets=5)
    with pytest.raises(RecipeError, match=r"chosen for miou, but ecssd is measured by maxf"):
        train(saliency, tmp_path, tmp_path / "run", progress=False)
    assert make_recipe(class_offsets=5).quantized("x").class_offsets == 5
    assert make_recipe(class_offsets=5).baseline().class_offsets == 5

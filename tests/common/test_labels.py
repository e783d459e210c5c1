"""From logits to probabilities and label maps, against float64 and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from larq_dense.common.labels import label_map, probabilities

SEVERAL = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=5),
    elements=st.floats(-200, 200, width=32),
)


@settings(deadline=None)
@given(SEVERAL)
def test_several_channels_are_a_softmax(logits: NDArray[np.float32]) -> None:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    found = probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, shifted / shifted.sum(axis=-1, keepdims=True), atol=1e-5)


@settings(deadline=None)
@given(SEVERAL)
def test_one_channel_is_a_sigmoid(logits: NDArray[np.float32]) -> None:
    logits = logits[..., :1]
    found = probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits.astype(np.float64))), atol=1e-6)
    np.testing.assert_array_equal(label_map(logits), logits[..., 0] >= 0)


@settings(deadline=None)
@given(SEVERAL)
def test_the_highest_score_decides(logits: NDArray[np.float32]) -> None:
    labels = label_map(logits)
    assert labels.dtype == np.uint8
    assert labels.shape == logits.shape[:-1]
    chosen = np.take_along_axis(logits, labels[..., None].astype(np.int64), axis=-1)
    assert np.all(chosen[..., 0] == logits.max(axis=-1))


@pytest.mark.parametrize(
    ("scores", "threshold", "label"),
    [([0.0], 0, 1), ([-0.1], 0, 0), ([0.5], 0.5, 1), ([0.49], 0.5, 0), ([2, 3, 3], 9, 1)],
)
def test_thresholds_and_ties(scores: list[float], threshold: float, label: int) -> None:
    assert label_map(np.array(scores), threshold) == label

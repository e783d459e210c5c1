"""Labels and probabilities at a picture's size, against all classes resized at once."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common import labels
from larq_dense.common.errors import DataError
from larq_dense.common.labels import UNSURE, Prediction, resize_scores


def smooth(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.float32]:
    """Return logits with regions of one class each, as a network gives them."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 4, (max(2, height // 6), max(2, width // 6), channels))
    return resize_scores(coarse, height, width)


def at_once(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """Resize by Pillow whole planes, and sort out ties by float64."""
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
        for plane in np.ascontiguousarray(np.moveaxis(logits, -1, 0))
    ]
    return np.stack(planes, axis=-1).astype(np.float64)


def nearly(expected: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where two classes are so near that rounding may decide."""
    ordered = np.sort(expected, axis=-1)
    near: NDArray[np.bool_] = ordered[..., -1] - ordered[..., -2] < 1e-4
    return near


SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))


@settings(deadline=None, max_examples=40)
@given(SIZES, st.tuples(st.integers(1, 700), st.integers(1, 700)), st.integers(2, 6))
def test_labels_are_those_of_all_classes_at_once(
    shape: tuple[int, int], size: tuple[int, int], channels: int
) -> None:
    logits = smooth(*shape, channels)
    expected = at_once(logits, *size)
    found = Prediction(logits, *size).labels()
    assert found.dtype == np.uint8
    wrong = (found != expected.argmax(-1)) & ~nearly(expected)
    assert not wrong.any()


@settings(deadline=None, max_examples=25)
@given(SIZES, st.tuples(st.integers(1, 700), st.integers(1, 700)), st.floats(0.05, 0.95))
def test_an_object_is_where_its_probability_reaches_the_threshold(
    shape: tuple[int, int], size: tuple[int, int], threshold: float
) -> None:
    logits = smooth(*shape, 1)
    expected = scipy.special.expit(at_once(logits, *size)[..., 0])
    prediction = Prediction(logits, *size)
    np.testing.assert_allclose(prediction.probability(1), expected, atol=1e-5)
    np.testing.assert_allclose(prediction.probability(0), 1 - expected, atol=1e-5)
    wrong = prediction.labels(threshold) != (expected >= threshold)
    assert not (wrong & (abs(expected - threshold) > 1e-5)).any()
    np.testing.assert_array_equal(prediction.labels(), prediction.labels(0.5))


@settings(deadline=None, max_examples=25)
@given(SIZES, st.tuples(st.integers(1, 300), st.integers(1, 300)), st.integers(2, 5))
def test_probabilities_are_a_softmax_at_the_pictures_size(
    shape: tuple[int, int], size: tuple[int, int], channels: int
) -> None:
    logits = smooth(*shape, channels)
    expected = scipy.special.softmax(at_once(logits, *size), axis=-1)
    prediction = Prediction(logits, *size)
    np.testing.assert_allclose(prediction.probabilities(), expected, atol=1e-5)
    np.testing.assert_allclose(prediction.probability(1), expected[..., 1], atol=1e-5)


def test_unsure_pixels_of_a_segmentation_are_marked() -> None:
    prediction = Prediction(smooth(30, 40, 4), 200, 300)
    shares = prediction.probabilities()
    expected = np.where(shares.max(-1) >= 0.8, shares.argmax(-1), UNSURE)
    assert 0 < (expected == UNSURE).mean() < 1
    np.testing.assert_array_equal(prediction.labels(0.8), expected)


def test_a_tie_goes_to_the_first_class_beside_others() -> None:
    logits = np.zeros((4, 4, 3), np.float32)
    logits[:2, :, 2] = 1
    labels = Prediction(logits, 40, 40).labels()
    assert (labels[:10] == 2).all() and (labels[30:] == 0).all()


def test_a_tie_goes_to_the_first_class_and_to_the_object() -> None:
    assert not Prediction(np.zeros((4, 4, 3), np.float32), 40, 30).labels().any()
    assert Prediction(np.zeros((4, 4, 1), np.float32), 40, 30).labels().all()


@pytest.mark.parametrize("threshold", [0, 1, -1, 2, float("nan")])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        Prediction(np.zeros((2, 2, 1), np.float32), 4, 4).labels(threshold)


@pytest.mark.parametrize(("height", "width", "planes"), [(1536, 2048, 8), (1531, 2039, 9)])
def test_a_large_picture_takes_no_plane_for_each_class(
    height: int, width: int, planes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No array of a picture's size but the result, and few planes that are resized at all."""
    pixels = 0
    resize = labels.resize

    def counted(plane: Image.Image, *arguments: object) -> Image.Image:
        nonlocal pixels
        part: Image.Image = resize(plane, *arguments)  # type: ignore[arg-type]
        assert part.width * part.height <= 512 * 512
        pixels += part.width * part.height
        return part

    monkeypatch.setattr(labels, "resize", counted)
    prediction = Prediction(smooth(48, 64, 11), height, width)
    prediction.labels()
    assert pixels < planes * height * width  # noise; of a network's regions it is fewer
    for _, _, shares in prediction.parts():
        assert shares.nbytes < 8 << 20

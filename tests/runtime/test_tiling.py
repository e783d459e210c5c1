"""Tiles and averages, against NumPy: whole pictures, single looks and weights made by hand."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from larq_dense import zoo
from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing
from larq_dense.runtime import ModelSpec, Predictor, SpecClass, tiling

HEIGHT, WIDTH = 32, 48


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


class Network:
    """An interpreter in NumPy: a linear map of each pixel, or of the mean around it."""

    def __init__(self, channels: int, around: int = 1) -> None:
        self.input_shape = (1, HEIGHT, WIDTH, 3)
        self.output_shape = (1, HEIGHT, WIDTH, channels)
        self._around = around
        self._weights = np.random.default_rng(channels).normal(0, 2, (3, channels))

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        smooth = scipy.ndimage.uniform_filter(inputs, (0, self._around, self._around, 0))
        logits: NDArray[np.float32] = (smooth @ self._weights).astype(np.float32)
        return logits


def pointwise(channels: int) -> Network:
    """Return a network of which each pixel sees itself alone."""
    return Network(channels)


def wide(channels: int) -> Network:
    """Return a network of which each pixel sees its surroundings."""
    return Network(channels, 9)


def spec(channels: int) -> ModelSpec:
    classes = tuple(SpecClass(name, (0, 0, 0)) for name in "abc"[: max(2, channels)])
    kind: Any = "saliency" if channels == 1 else "segmentation"
    return ModelSpec("hand-made", "none", kind, classes, Preprocessing(HEIGHT, WIDTH))


def shares(logits: NDArray[Any]) -> NDArray[Any]:
    if logits.shape[-1] == 1:
        return scipy.special.expit(logits)
    return scipy.special.softmax(logits, axis=-1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 48), (33, 49), (100, 150), (41, 300), (20, 200), (200, 30)])
def test_tiles_of_a_pointwise_network_make_the_whole(size: tuple[int, int], channels: int) -> None:
    model = pointwise(channels)
    predictor = Predictor(model, spec(channels), tile=WIDTH)
    image = picture(*size)
    found = predictor.predict(image)
    if size[0] < HEIGHT or size[1] < WIDTH:  # a tile that is smaller is enlarged
        assert found.probabilities().shape == (*size, channels)
        return
    pixels = spec(channels).preprocessing.normalize(image)[None]
    expected = shares(model.run(pixels)[0])
    np.testing.assert_allclose(found.probabilities(), expected, atol=1e-5)
    labels = expected[..., 0] >= 0.5 if channels == 1 else expected.argmax(-1)
    assert (found.labels() == labels).mean() > 0.999
    mean, largest = found.summary()
    of_classes = np.concatenate([1 - expected, expected], -1) if channels == 1 else expected
    np.testing.assert_allclose(mean, of_classes.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(largest, of_classes.max((0, 1)), atol=1e-5)


def test_a_tile_of_twice_the_input_is_halved() -> None:
    image = picture(2 * HEIGHT, 2 * WIDTH)
    once = Predictor(wide(3), spec(3)).probabilities(image)
    tiled = Predictor(wide(3), spec(3), tile=2 * WIDTH).probabilities(image)
    np.testing.assert_allclose(tiled, once, atol=1e-6)


def blended(predictor: Predictor, image: NDArray[np.uint8], rows: int, columns: int) -> Any:
    """Blend two by two tiles in the corners, by the description of `Blended`."""
    height, width = image.shape[:2]
    total, weights = 0.0, 0.0
    for top in (0, height - rows):
        for left in (0, width - columns):
            part = predictor.probabilities(image[top : top + rows, left : left + columns])
            down = [min(y - top + 1, top + rows - y) for y in range(top, top + rows)]
            across = [min(x - left + 1, left + columns - x) for x in range(left, left + columns)]
            weight = np.zeros((height, width, 1))
            weight[top : top + rows, left : left + columns, 0] = np.outer(down, across)
            padded = np.zeros((height, width, part.shape[-1]))
            padded[top : top + rows, left : left + columns] = part
            total, weights = total + weight * padded, weights + weight
    return total / weights


@pytest.mark.parametrize("channels", [1, 3])
def test_tta_is_the_mean_of_the_looks(channels: int) -> None:
    single = Predictor(wide(channels), spec(channels))
    image = picture(150, 213)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    looks = [
        single.probabilities(image),
        single.probabilities(mirrored)[:, ::-1],
        blended(single, image, 100, 142),
        blended(single, mirrored, 100, 142)[:, ::-1],
    ]
    expected = np.mean(looks, axis=0)
    predictor = Predictor(wide(channels), spec(channels), tta=True)
    found = predictor.predict(image)
    np.testing.assert_allclose(found.probabilities(), expected, atol=1e-5)
    object_or_first = expected[..., 0]
    index = 1 if channels == 1 else 0
    np.testing.assert_allclose(found.probability(index), object_or_first, atol=1e-5)
    sure = found.labels(0.6)
    if channels == 1:
        assert (sure == (expected[..., 0] >= 0.6)).mean() > 0.999
    else:
        where = np.where(expected.max(-1) >= 0.6, expected.argmax(-1), 255)
        assert (sure == where).mean() > 0.999


@pytest.mark.parametrize("length", [1, 32, 33, 47, 100, 1000, 8001])
def test_tiles_cover_and_overlap(length: int) -> None:
    tops = tiling.starts(length, 32)
    assert tops[0] == 0 and tops[-1] == max(0, length - 32)
    steps = np.diff(tops)
    assert (steps > 0).all() and (steps <= 32 * (1 - tiling.OVERLAP) + 1).all()


def test_a_large_picture_keeps_one_row_of_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(pointwise(3), spec(3), tile=WIDTH)
    image = picture(400, 100)
    expected = predictor.probabilities(image)
    monkeypatch.setattr(tiling, "_KEPT", 0)
    found = predictor.predict(image)
    most = 0
    for _, _, _ in found.parts():
        most = max(most, len(found._tiles))  # type: ignore[attr-defined]
    assert most < len(tiling.starts(400, HEIGHT)) * len(tiling.starts(100, WIDTH)) / 2
    np.testing.assert_array_equal(found.probabilities(), expected)


def test_a_pickled_predictor_sees_alike() -> None:
    file = zoo.find("ecssd").tflite(int8=True)
    predictor = Predictor.from_tflite(file, runtime="native", tile=64, tta=True)
    image = picture(70, 90)
    again = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(again.probabilities(image), predictor.probabilities(image))


def test_too_small_tiles_are_refused() -> None:
    with pytest.raises(DataError, match="a tile has 32 columns or more, not 8"):
        Predictor(pointwise(3), spec(3), tile=8)

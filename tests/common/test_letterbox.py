"""Pictures that keep their shape, against Pillow's own letterbox and networks of their size."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing
from larq_dense.runtime import ModelSpec, Predictor, SpecClass

LETTERBOX = Preprocessing(64, 96, fit="letterbox")
CLASSES = tuple(SpecClass(name, (0, 0, 0)) for name in "abc")


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(width).integers(1, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(64, 96), (128, 64), (30, 192), (16, 24), (200, 100), (7, 300)])
def test_pixels_are_those_of_pillows_pad(size: tuple[int, int]) -> None:
    image = Image.fromarray(noise(*size))
    expected = np.asarray(ImageOps.pad(image, (96, 64), Image.Resampling.BILINEAR))
    rows, columns = LETTERBOX.content(*size)
    found = LETTERBOX.resize(np.asarray(image))
    # Pillow rounds an odd border the other way.
    filled = np.argwhere(expected.any(-1))
    assert (rows.stop - rows.start, columns.stop - columns.start) == tuple(
        filled.max(0) - filled.min(0) + 1
    )
    shift = filled.min(0) - (rows.start, columns.start)
    assert np.abs(shift).max() <= 1
    np.testing.assert_array_equal(np.roll(found, shift, (0, 1)), expected)


@pytest.mark.parametrize("size", [(64, 96), (1, 1000), (1000, 1), (333, 517), (480, 640)])
def test_the_shape_is_kept(size: tuple[int, int]) -> None:
    rows, columns = LETTERBOX.content(*size)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert (height, width) == (64, width) or (height, width) == (height, 96)
    assert 1 <= height <= 64 and 1 <= width <= 96
    scale = min(64 / size[0], 96 / size[1])
    assert abs(height - max(1, scale * size[0])) <= 0.5
    assert abs(width - max(1, scale * size[1])) <= 0.5
    assert abs(rows.start - (64 - rows.stop)) <= 1 and abs(columns.start - (96 - columns.stop)) <= 1


class Colors:
    """A network whose logits are its input, at a size that is a divisor of the input's."""

    def __init__(self, preprocessing: Preprocessing, stride: int = 1) -> None:
        self.input_shape = (1, preprocessing.height, preprocessing.width, 3)
        self.output_shape = (1, preprocessing.height // stride, preprocessing.width // stride, 3)
        self._stride = stride

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return inputs[:, :: self._stride, :: self._stride]


def predictor(preprocessing: Preprocessing, **options: Any) -> Predictor:
    spec = ModelSpec("colors", "none", "segmentation", CLASSES, preprocessing)
    stride = options.pop("stride", 1)
    return Predictor(Colors(preprocessing, stride), spec, **options)


@pytest.mark.parametrize("size", [(64, 96), (128, 64), (30, 192), (16, 24), (200, 100)])
def test_answers_are_those_of_a_network_of_the_pictures_shape(size: tuple[int, int]) -> None:
    image = noise(*size)
    rows, columns = LETTERBOX.content(*size)
    own = Preprocessing(rows.stop - rows.start, columns.stop - columns.start)
    found, expected = predictor(LETTERBOX), predictor(own)
    np.testing.assert_array_equal(found.probabilities(image), expected.probabilities(image))
    np.testing.assert_array_equal(found.labels(image), expected.labels(image))
    logits = found.logits(image)
    assert logits.shape == (64, 96, 3)
    np.testing.assert_array_equal(found.labels_from_logits(logits, *size), found.labels(image))


def test_coarse_logits_are_cut_where_the_picture_lies() -> None:
    image = np.zeros((40, 20, 3), np.uint8)
    image[:20, :, 0] = image[20:, :, 1] = 255
    labels = predictor(LETTERBOX, stride=4).labels(image)
    assert (labels[:18] == 0).all() and (labels[22:] == 1).all()


def test_tiles_of_a_letterboxed_network_keep_their_shape() -> None:
    image = noise(300, 40)  # narrower than a tile
    whole = predictor(Preprocessing(300, 40)).probabilities(image)
    tiled = predictor(LETTERBOX, tile=96).probabilities(image)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_the_description_carries_it_and_older_ones_stay_as_they_are() -> None:
    assert "fit" not in Preprocessing(64, 96).to_dict()
    assert Preprocessing.from_dict(LETTERBOX.to_dict()) == LETTERBOX
    assert Preprocessing.from_dict(Preprocessing(64, 96).to_dict()).fit == "stretch"
    with pytest.raises(DataError, match="stretch or letterbox, not 'crop'"):
        Preprocessing.from_dict({**LETTERBOX.to_dict(), "fit": "crop"})

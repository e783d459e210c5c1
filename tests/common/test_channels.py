"""Grey pictures and those of four channels, against Pillow and NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing, read_image, resize_pixels
from larq_dense.runtime import ModelSpec, Predictor, SpecClass


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


def saved(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_four_channels_are_those_of_the_file(tmp_path: Path, suffix: str) -> None:
    pixels = noise(7, 9, 4)
    path = saved(tmp_path / f"a.{suffix}", pixels)
    np.testing.assert_array_equal(read_image(path, 4), pixels)
    np.testing.assert_array_equal(read_image(path.read_bytes(), 4), pixels)
    np.testing.assert_array_equal(read_image(pixels, 4), pixels)
    np.testing.assert_array_equal(read_image(path), pixels[..., :3])


def test_grey_is_pillows_of_any_picture(tmp_path: Path) -> None:
    pixels = noise(7, 9, 3)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", pixels), 1), grey)
    np.testing.assert_array_equal(read_image(pixels, 1), grey)
    np.testing.assert_array_equal(read_image(grey, 1), grey)
    np.testing.assert_array_equal(read_image(grey[..., 0], 1), grey)
    deep = saved(tmp_path / "deep.png", grey[..., 0].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(deep, 1), grey)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_too_few_channels_are_named(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (8, 6)).save(path)
    with pytest.raises(DataError, match=r"a\.png has \d channels .*but 4 are asked for"):
        read_image(path, 4)
    with pytest.raises(DataError, match="the image has 3 channels"):
        read_image(noise(6, 8, 3), 4)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_channel_is_resized_by_itself(channels: int) -> None:
    pixels = noise(20, 31, channels)
    found = resize_pixels(pixels, 9, 40)
    for channel in range(channels):
        plane = Image.fromarray(np.ascontiguousarray(pixels[..., channel]))
        rows = plane.resize((40, 20), Image.Resampling.BILINEAR)
        expected = rows.resize((40, 9), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(found[..., channel], np.asarray(expected))


class Brightest:
    """A network whose logits tell the channel, and one for none of them."""

    def __init__(self, channels: int) -> None:
        self.input_shape = (1, 32, 32, channels)
        self.output_shape = (1, 32, 32, channels + 1)

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        none = np.zeros((*inputs.shape[:3], 1), np.float32)
        return np.concatenate([inputs, none], axis=-1)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("options", [{}, {"tile": 32}, {"tta": True}])
def test_a_predictor_sees_its_channels(channels: int, options: dict[str, Any]) -> None:
    classes = tuple(SpecClass(name, (0, 0, 0)) for name in "abcde"[: channels + 1])
    size = Preprocessing(32, 32, (128.0,) * channels, (64.0,) * channels)
    assert Preprocessing.from_dict(size.to_dict()) == size
    spec = ModelSpec("channels", "none", "segmentation", classes, size)
    predictor = Predictor(Brightest(channels), spec, **options)
    pixels = np.zeros((64, 96, channels), np.uint8)
    pixels[:, :48, channels - 1] = 255
    labels = predictor.labels(pixels)
    assert (labels[:, :40] == channels - 1).all() and (labels[:, 56:] == channels).all()


def test_two_channels_are_refused() -> None:
    with pytest.raises(DataError, match="give each 1, 3 or 4"):
        Preprocessing(32, 32, (1.0, 2.0), (1.0, 2.0))

"""Pictures of every kind, broken ones too, and the way to the network and back."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common import images
from larq_dense.common.errors import DataError

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@settings(deadline=None)
@given(SHAPES, st.sampled_from([None, 1, 3, 4]))
def test_arrays_become_rgb(shape: tuple[int, int], channels: int | None) -> None:
    array = noise(*shape, *([] if channels is None else [channels]))
    found = images.read_image(array)
    assert found.shape == (*shape, 3)
    assert found.flags.c_contiguous
    for channel in range(3):
        source = array if channels is None else array[..., channel if channels > 1 else 0]
        np.testing.assert_array_equal(found[..., channel], source)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 3)), "must be uint8, not float64"),
        (np.zeros((2, 2, 2), np.uint8), r"not \[2, 2, 2\]"),
        (np.zeros((0, 2, 3), np.uint8), r"not \[0, 2, 3\]"),
        (np.zeros(4, np.uint8), r"not \[4\]"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"not \[1, 2, 2, 3\]"),
    ],
)
def test_wrong_arrays_are_refused(array: NDArray[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        images.read_image(array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    picture = Image.fromarray(noise(5, 7, 3)).convert(mode)
    found = images.read_image(picture)
    assert found.shape == (5, 7, 3)
    assert found.dtype == np.uint8
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(found, noise(5, 7, 3))


def test_16_bits_are_scaled(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(deep).save(path)
    np.testing.assert_array_equal(images.read_image(path)[0, :, 0], [0, 1, 128, 255])


def test_alpha_is_dropped(tmp_path: Path) -> None:
    pixels = noise(3, 4, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), pixels[..., :3])


def test_photographs_are_turned_as_they_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = noise(4, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), np.rot90(pixels, -1))


def test_damaged_exif_spoils_no_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = noise(4, 6, 3)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, exif=exif)
    sound = images.read_image(path)
    path.write_bytes(path.read_bytes().replace(b"Exif\0\0MM", b"Exif\0\0XX"))
    np.testing.assert_array_equal(images.read_image(path), np.rot90(sound))


def encoded(form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise(40, 40, 3)).save(stream, form)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP"]), st.data())
def test_a_cut_file_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    content = encoded(form)
    # The last bytes may be mere padding or a checksum, without which the picture is whole.
    kept = data.draw(st.integers(0, len(content) // 2))
    path = tmp_path_factory.getbasetemp() / f"cut.{form.lower()}"
    path.write_bytes(content[:kept])
    with pytest.raises(DataError) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "BMP"]), st.data())
def test_a_damaged_file_is_a_picture_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    content = bytearray(encoded(form))
    for _ in range(3):
        place = data.draw(st.integers(0, min(len(content), 200) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{form.lower()}"
    path.write_bytes(content)
    try:
        assert images.read_image(path).dtype == np.uint8
    except DataError as error:
        assert str(path) in str(error)


def test_missing_and_misplaced_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such image: .*nowhere"):
        images.read_image(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="cannot read the image"):
        images.read_image(tmp_path)


def test_a_cut_picture_that_is_already_open_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded("JPEG")[:1500])
    with pytest.raises(DataError, match="truncated"):
        images.read_image(Image.open(path))


@settings(deadline=None)
@given(SHAPES, SHAPES)
def test_preprocessing_normalizes_and_resizes(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    preprocessing = images.Preprocessing(*size, mean=(10, 20, 30), std=(2, 4, 8))
    flat = np.broadcast_to(np.array([12, 28, 62], np.uint8), (*shape, 3))
    found = preprocessing(np.ascontiguousarray(flat))
    assert found.shape == (1, *size, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to([1, 2, 4], found.shape))


def test_preprocessing_of_the_networks_own_size_keeps_pixels() -> None:
    pixels = noise(5, 6, 3)
    found = images.Preprocessing(5, 6)(pixels)
    np.testing.assert_allclose(found[0], pixels / 127.5 - 1, atol=1e-6)


def test_preprocessing_survives_json() -> None:
    preprocessing = images.Preprocessing(32, 64, (1, 2, 3), (4, 5, 6))
    values = preprocessing.to_dict() | {"mean": [1, 2, 3], "std": [4, 5, 6]}
    assert images.Preprocessing.from_dict(values) == preprocessing


def bilinear(plane: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """Enlarge with pixel centres at half-integers and edges held."""

    def at(size: int, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        place = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0, size - 1)
        low = np.floor(place).astype(int)
        return low, np.minimum(low + 1, size - 1), place - low

    top, bottom, down = at(plane.shape[0], height)
    left, right, across = at(plane.shape[1], width)
    rows = plane[top] * (1 - down)[:, None] + plane[bottom] * down[:, None]
    mixed: NDArray[np.float64] = rows[:, left] * (1 - across) + rows[:, right] * across
    return mixed


@settings(deadline=None)
@given(SHAPES, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(1, 3))
def test_scores_are_enlarged_bilinearly(
    shape: tuple[int, int], factor: tuple[int, int], channels: int
) -> None:
    scores = np.random.default_rng(1).normal(size=(*shape, channels)).astype(np.float32)
    height, width = shape[0] * factor[0], shape[1] * factor[1]
    found = images.resize_scores(scores, height, width)
    assert found.shape == (height, width, channels)
    assert found.dtype == np.float32
    for channel in range(channels):
        expected = bilinear(scores[..., channel], height, width)
        np.testing.assert_allclose(found[..., channel], expected, atol=1e-5)


@settings(deadline=None)
@given(SHAPES, st.floats(0, 1))
def test_overlay_blends_known_classes(shape: tuple[int, int], opacity: float) -> None:
    picture = noise(*shape, 3)
    palette = np.array([[0, 0, 0], [200, 100, 50]], np.uint8)
    labels = np.random.default_rng(2).choice([0, 1, 2, 255], shape)
    found = images.overlay(picture, labels, palette, opacity)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[labels != 1], picture[labels != 1])
    blend = (1 - opacity) * picture[labels == 1] + opacity * palette[1]
    np.testing.assert_allclose(found[labels == 1], blend, atol=0.5001)

"""Pictures of every kind, broken ones too, and the way to the network and back."""

import io
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from larq_dense.common import images, labels
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
    """Upsample with pixel centres at half-integers and edges held."""

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
    found = labels.resize_scores(scores, height, width)
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


def grey(values: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Write grey values as they are and return what is read, one channel."""
    Image.fromarray(values).save(path)
    found = images.read_image(path)
    assert (found == found[..., :1]).all()
    return found[..., 0]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_picture_of_more_bits_becomes_as_bright_as_it_is(
    tmp_path: Path, bits: int, suffix: str
) -> None:
    white = 2**bits - 1
    values = np.linspace(0, white, 60).round().astype(np.uint16).reshape(6, 10)
    found = grey(values, tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(found, values / white * 255, atol=0.51)


@pytest.mark.parametrize("white", [1.0, 255.0, 4095.0, 65535.0])
def test_real_values_become_as_bright_as_they_are(tmp_path: Path, white: float) -> None:
    values = np.linspace(0, white, 60, dtype=np.float32).reshape(6, 10)
    found = grey(values, tmp_path / "a.tif")
    np.testing.assert_allclose(found, values / white * 255, atol=0.51)


def test_light_brighter_than_white_and_no_number_are_read(tmp_path: Path) -> None:
    values = np.array([[0.5, 1.2, -0.3, np.nan, np.inf]], np.float32)
    np.testing.assert_array_equal(grey(values, tmp_path / "a.tif"), [[128, 255, 0, 0, 0]])


def test_12_bits_packed_in_a_tiff_are_read(tmp_path: Path) -> None:
    """Two values in three bytes, as scanners write them; Pillow has no writer for it."""
    values = np.array([[0, 4095, 2048, 1024]], np.uint16)
    high, low = values[0, ::2].astype(int), values[0, 1::2].astype(int)
    packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], -1).astype(np.uint8)
    tags = [(256, 4), (257, 1), (258, 12), (259, 1), (262, 1), (273, 200), (278, 1), (279, 6)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + packed.tobytes())
    found = images.read_image(tmp_path / "a.tif")[0, :, 0]
    np.testing.assert_allclose(found, values[0] / 4095 * 255, atol=0.51)


def encode(form: str, picture: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


class Pipe(io.RawIOBase):
    """A stream that cannot seek, as standard input."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(buffer)


@pytest.mark.parametrize(
    "given", [bytes, bytearray, memoryview, io.BytesIO, Pipe], ids=lambda kind: kind.__name__
)
def test_a_files_content_is_read_as_the_file(given: Any) -> None:
    pixels = noise(5, 7, 3)
    content = encode("PNG", Image.fromarray(pixels))
    np.testing.assert_array_equal(images.read_image(given(content)), pixels)
    with pytest.raises(DataError, match="cannot read the image: it is empty"):
        images.read_image(given(b""))
    with pytest.raises(DataError, match="cannot read the image"):
        images.read_image(given(content[:60]))


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    pixels = noise(5, 7, 3)
    content = encode("PNG", Image.fromarray(pixels))
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(content))
    writer.start()
    np.testing.assert_array_equal(images.read_image(tmp_path / "pipe"), pixels)
    writer.join()


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_pictures_the_first_is_read_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    first, second = (Image.new("RGB", (8, 6), color) for color in ("red", "blue"))
    options = {"lossless": True} if form == "WEBP" else {}
    path = tmp_path / "several"
    path.write_bytes(encode(form, first, save_all=True, append_images=[second], **options))
    with caplog.at_level("WARNING", "larq_dense"):
        found = images.read_image(path)
    assert (found == (255, 0, 0)).all()
    (record,) = caplog.records
    assert f"{path} holds 2 pictures" in record.getMessage()


@pytest.mark.filterwarnings("error")
def test_a_palette_with_several_transparent_colours_is_read(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(5, 7, 3)).convert("P")
    picture.save(tmp_path / "a.png", transparency=bytes(range(255, 155, -1)))
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is empty"),
        (b"no picture at all", "no picture, or of a kind"),
        (b"\0\0\0\x18ftypheic" + bytes(60), r"pip install pillow-heif|replace or remove it"),
        (b"\0\0\0\x18ftypavif" + bytes(60), r"it is AVIF|replace or remove it"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_kind(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_pillow_heif_a_photograph_of_a_phone_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(60))
    with pytest.raises(DataError, match=r"0001\.HEIC: it is HEIC; run `pip install pillow-heif"):
        images.read_image(path)


def test_with_pillow_heif_a_photograph_of_a_phone_is_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    pixels = np.asarray(Image.linear_gradient("L").resize((64, 48)).convert("RGB"))
    path = tmp_path / "a.heic"
    heif.from_pillow(Image.fromarray(pixels)).save(path, quality=100, chroma=444)
    found = images.read_image(path)
    assert found.shape == pixels.shape
    assert abs(found.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b.png"])
def test_a_name_that_no_file_can_have_is_a_sentence(path: str) -> None:
    with pytest.raises(DataError, match=r"image"):
        images.read_image(path)


def test_a_loop_of_links_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(DataError, match=r"loop\.png"):
        images.read_image(tmp_path / "loop.png")


def blended(source: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Resize the first axis of uint8 values by Pillow's documented fixed-point arithmetic."""
    scale = len(source) / length
    support = max(scale, 1.0)
    rows = []
    for i in range(length):
        center = (i + 0.5) * scale
        first = max(0, int(center - support + 0.5))
        last = min(len(source), int(center + support + 0.5))
        weights = [max(0.0, 1 - abs(k - center + 0.5) / support) for k in range(first, last)]
        fixed = [int(0.5 + weight / sum(weights) * 2**22) for weight in weights]
        total = sum(w * source[k].astype(np.int64) for k, w in enumerate(fixed, first))
        rows.append((total + 2**21 >> 22).clip(0, 255))
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(
    ("size", "target"),
    [((400, 300), (384, 256)), ((300, 400), (384, 256)), ((97, 130), (256, 256)),
     ((60, 90), (60, 30)), ((90, 60), (30, 60))],
)  # fmt: skip
def test_rows_are_resized_before_columns(size: tuple[int, int], target: tuple[int, int]) -> None:
    coarse = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 12, 3), np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    across = blended(pixels.swapaxes(0, 1), target[0]).swapaxes(0, 1)
    expected = blended(across, target[1])
    resized = images.resize(Image.fromarray(pixels), target[1], target[0])
    np.testing.assert_array_equal(np.asarray(resized), expected)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_turned_tiff_is_read_as_the_same_png(
    tmp_path: Path, orientation: int, compression: str | None
) -> None:
    pixels = np.random.default_rng(orientation).integers(0, 256, (5, 7, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.tif", exif=exif, compression=compression)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    assert np.array_equal(images.read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("scale", [-1.0, 0.0, float("nan")])
def test_real_values_that_would_be_black_are_refused(tmp_path: Path, scale: float) -> None:
    values = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    values = values * np.float32(scale) if scale else np.full((3, 4), -1, np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif (has values from -1|holds no number)"):
        images.read_image(tmp_path / "a.tif")


def test_values_of_many_bits_are_as_bright_as_their_largest(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1 << 27]], np.int32)).save(tmp_path / "a.tif")
    assert images.read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 255]

"""Mask files as people save them: read where the meaning is plain, else refused in a sentence."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.tasks.masks import (
    SMEARED,
    MaskError,
    color_reader,
    palette_checked,
    read_gray,
    read_values,
    smeared_share,
)

VALUES = np.array([[0, 1, 2], [7, 254, 255]], np.uint8)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def disc(size: int = 64, inside: int = 1) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:size, :size] - size / 2
    return np.where(rows**2 + columns**2 < (size / 3) ** 2, inside, 0).astype(np.uint8)


@pytest.mark.parametrize("form", ["P", "L", "I;16", "I", "F", "LA", "RGB", "RGBA"])
def test_masks_keep_their_values(tmp_path: Path, form: str) -> None:
    picture, path = Image.fromarray(VALUES), tmp_path / "m.png"
    if form == "P":
        picture = picture.convert("P")
        picture.putpalette(noise(256, 3).ravel().tolist())
    elif form == "I;16":
        picture = Image.fromarray(VALUES.astype(np.uint16))
    else:
        picture = picture.convert(form)
    if form in ("I", "F"):
        path = path.with_suffix(".tif")  # PNG knows neither.
    picture.save(path)
    np.testing.assert_array_equal(read_values(path), VALUES)


@pytest.mark.parametrize("white", [1, 255])
def test_one_bit_is_black_and_the_value_of_white(tmp_path: Path, white: int) -> None:
    Image.fromarray(disc(inside=255)).convert("1").save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_values(tmp_path / "m.png", white), disc(inside=white))


def test_a_transparent_background_repeats_what_the_values_say(tmp_path: Path) -> None:
    values = disc()
    bands = [Image.fromarray(band) for band in (values, values, values, values * 255)]
    Image.merge("RGBA", bands).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_values(tmp_path / "m.png"), values)


def test_a_palette_may_have_transparency(tmp_path: Path) -> None:
    picture = Image.fromarray(disc()).convert("P")
    picture.putpalette([0, 0, 0, 255, 80, 0])
    picture.save(tmp_path / "m.png", transparency=0)
    np.testing.assert_array_equal(read_values(tmp_path / "m.png"), disc())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_as_its_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(VALUES).save(tmp_path / "m.png", exif=exif)
    turned = {
        1: VALUES,
        2: VALUES[:, ::-1],
        3: VALUES[::-1, ::-1],
        4: VALUES[::-1],
        5: VALUES.T,
        6: VALUES[::-1].T,
        7: VALUES[::-1, ::-1].T,
        8: VALUES[:, ::-1].T,
    }
    np.testing.assert_array_equal(read_values(tmp_path / "m.png"), turned[orientation])


def alpha(mode: str) -> Image.Image:
    black, mask = Image.new("L", (64, 64)), Image.fromarray(disc(inside=255))
    bands = [black] * (len(mode) - 1) + [mask]
    return Image.merge(mode, bands)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (Image.fromarray(noise(4, 4, 3)), "coloured masks"),
        (Image.fromarray(np.array([[0, 300]], np.uint16)), "values beyond 8 bits"),
        (Image.fromarray(np.array([[0, 65535]], np.uint16)), "values beyond 8 bits"),
        (alpha("RGBA"), "labels in the alpha channel"),
        (alpha("LA"), "labels in the alpha channel"),
        (Image.new("RGBA", (4, 4)), "labels in the alpha channel"),
    ],
)
def test_what_holds_no_labels_is_refused(tmp_path: Path, picture: Image.Image, kind: str) -> None:
    if kind == "labels in the alpha channel" and picture.size == (4, 4):
        picture.putpixel((0, 0), (9, 9, 9, 0))  # Values under full transparency.
    picture.save(tmp_path / "m.png")
    with pytest.raises(MaskError, match=r"m\.png") as caught:
        read_values(tmp_path / "m.png")
    assert caught.value.kind == kind


@pytest.mark.parametrize("values", [[[0.0, 0.5]], [[0.0, np.nan]], [[-1.0, 0.0]], [[0.0, np.inf]]])
def test_real_numbers_that_are_no_labels(tmp_path: Path, values: Any) -> None:
    Image.fromarray(np.array(values, np.float32)).save(tmp_path / "m.tif")
    with pytest.raises(MaskError, match="save it as an 8-bit"):
        read_values(tmp_path / "m.tif")


@pytest.mark.parametrize(
    ("suffix", "options", "refused"),
    [
        (".jpg", {}, True),
        (".webp", {"quality": 80}, True),
        (".webp", {"quality": 80, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, True),
        (".tif", {"compression": "jpeg"}, True),
        (".webp", {"lossless": True}, False),
        (".tif", {"compression": "tiff_lzw"}, False),
        (".bmp", {}, False),
        (".gif", {}, False),
    ],
)
def test_formats_that_smear(
    tmp_path: Path, suffix: str, options: dict[str, Any], refused: bool
) -> None:
    path = tmp_path / f"m{suffix}"
    Image.fromarray(disc(inside=255)).save(path, **options)
    if not refused:
        np.testing.assert_array_equal(read_values(path), disc(inside=255))
        return
    with pytest.raises(MaskError, match="lossy") as caught:
        read_values(path)
    assert caught.value.kind == "masks in a lossy format"
    np.testing.assert_array_equal(read_gray(path), disc(inside=255))


def test_soft_masks_with_their_object_in_alpha_are_refused(tmp_path: Path) -> None:
    alpha("LA").save(tmp_path / "m.png")
    with pytest.raises(MaskError, match="alpha"):
        read_gray(tmp_path / "m.png")


COLORS = {(0, 0, 0): 0, (255, 80, 0): 1, (0, 90, 255): 2}


@pytest.mark.parametrize("form", ["RGB", "RGBA", "P"])
def test_colours_are_looked_up(tmp_path: Path, form: str) -> None:
    labels = np.resize(np.arange(4), (5, 8))
    shown = np.array([*COLORS, (224, 224, 192)], np.uint8)[labels]
    picture = Image.fromarray(shown)
    picture = picture.quantize(8) if form == "P" else picture.convert(form)
    picture.save(tmp_path / "m.png")
    read = color_reader(COLORS, ignored=(224, 224, 192))
    expected = np.where(labels == 3, 255, labels)
    np.testing.assert_array_equal(read(tmp_path / "m.png", 1), expected)
    with pytest.raises(MaskError, match=r"colour \[224, 224, 192\] \(25.00% of its pixels"):
        color_reader(COLORS)(tmp_path / "m.png", 1)


def palette_mask(path: Path, *colors: tuple[int, int, int]) -> Path:
    picture = Image.fromarray(disc()).convert("P")
    picture.putpalette([part for color in colors for part in color])
    picture.save(path)
    return path


CLASSES = {0: (0, 0, 0), 1: (255, 80, 0), 2: (9, 9, 9)}


@pytest.mark.parametrize(
    ("palette", "contradicts"),
    [
        (((255, 80, 0), (0, 0, 0)), True),
        (((9, 9, 9), (255, 80, 0)), True),
        (((0, 0, 0), (0, 0, 0)), False),
        (((0, 0, 0), (255, 80, 0)), False),
        (((0, 0, 0), (1, 1, 1)), False),
        (((0, 0, 0), (128, 0, 0)), False),
        (((255, 255, 255), (0, 0, 0)), True),
    ],
)
def test_a_palette_may_contradict_the_classes(
    tmp_path: Path, palette: tuple[tuple[int, int, int], ...], contradicts: bool
) -> None:
    path = palette_mask(tmp_path / "m.png", *palette)
    read = palette_checked(CLASSES)
    if contradicts:
        with pytest.raises(MaskError, match=r"which classes\.yaml gives to the value"):
            read(path, 1)
    else:
        np.testing.assert_array_equal(read(path, 1), disc())


def streets() -> NDArray[np.uint8]:
    """Return a label map of blocks, thin poles included, in 11 classes."""
    random = np.random.default_rng(3)
    labels = np.kron(random.integers(0, 11, (8, 12)), np.ones((13, 19), int))
    labels[:, 40:42] = 3
    labels[20:, 100] = 9
    return labels.astype(np.uint8)


def test_clean_masks_are_not_smeared() -> None:
    assert smeared_share(streets()) < SMEARED
    assert smeared_share(disc(inside=255)) < SMEARED
    assert smeared_share(np.zeros((30, 30), np.uint8)) == 0
    # White lines of one pixel rise and fall by 255, twice as much as int8 holds.
    lines = np.zeros((30, 30), np.uint8)
    lines[::4] = 255
    assert smeared_share(lines) == 0


@pytest.mark.parametrize("labels", [streets(), disc(128, 255)])
def test_smeared_masks_are_seen(labels: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(labels)
    stream = io.BytesIO()
    picture.save(stream, "JPEG")
    assert smeared_share(np.asarray(Image.open(stream))) > SMEARED
    small = picture.resize((90, 60), Image.Resampling.BILINEAR)
    assert smeared_share(np.asarray(small)) > SMEARED


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "TIFF", "GIF", "BMP", "WEBP"]), st.data())
def test_a_damaged_file_is_a_mask_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    stream = io.BytesIO()
    Image.fromarray(noise(40, 40)).save(stream, form)
    content = bytearray(stream.getvalue())
    for _ in range(3):
        place = data.draw(st.integers(0, min(len(content), 200) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path = tmp_path_factory.getbasetemp() / f"damaged.{form.lower()}"
    path.write_bytes(content)
    for read in (read_values, read_gray, palette_checked({0: (0, 0, 0)}), color_reader(COLORS)):
        try:
            assert read(path, 1).dtype == np.uint8
        except DataError as error:
            assert str(path) in str(error)


def test_an_empty_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.png").touch()
    with pytest.raises(DataError, match=r"cannot read the image .*m\.png"):
        read_values(tmp_path / "m.png")


def test_an_animated_webp_is_searched_for_lossy_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(16, 16, 3)) for _ in range(2)]
    path = tmp_path / "m.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], quality=50)
    assert path.read_bytes()[:4] == struct.pack("4s", b"RIFF")
    with pytest.raises(MaskError, match="lossy"):
        read_values(path)


@pytest.mark.parametrize(("irreversible", "refused"), [(True, True), (False, False)])
def test_jpeg2000_is_refused_where_it_rounds(
    tmp_path: Path, irreversible: bool, refused: bool
) -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[8:20, 8:20] = 1
    Image.fromarray(labels).save(tmp_path / "a.jp2", irreversible=irreversible)
    if refused:
        with pytest.raises(MaskError, match="lossy JPEG2000"):
            read_values(tmp_path / "a.jp2")
    else:
        assert np.array_equal(read_values(tmp_path / "a.jp2"), labels)


def test_a_palette_that_contradicts_the_classes_by_a_shade_is_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(np.eye(4, dtype=np.uint8)).convert("P")
    picture.putpalette([250, 82, 3, 2, 0, 0] + [0] * 762)
    picture.save(tmp_path / "a.png")
    read = palette_checked({0: (0, 0, 0), 1: (255, 80, 0)})
    with pytest.raises(MaskError, match="gives to the value 1"):
        read(tmp_path / "a.png", 255)

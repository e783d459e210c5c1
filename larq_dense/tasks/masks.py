"""Mask files as people save them: values, shades or colours, and what spoils them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.common.images import open_picture, read_image, upright

Color = tuple[int, int, int]
IGNORED = 255
_NEAR = 8
SMEARED = 0.12
"""From this share of ramps on, see `smeared_share`, a mask is smeared: clean masks of street scenes
and objects have 0.09 at most, JPEG at its usual quality leaves 0.13 to 0.29, resizing more."""
_LOSSY_FORMATS = {"JPEG", "MPO", "AVIF", "HEIF"}
_LOSSY_TIFF = {"jpeg", "tiff_jpeg", "webp"}


class MaskError(DataError):
    """A mask that can be opened, but does not hold labels.

    Attributes:
        kind: What is wrong, in a few words, the same for all masks that have it.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Make the error from its kind and its sentence."""
        super().__init__(message)
        self.kind = kind


def read_values(path: Path, white: int = 255) -> NDArray[np.uint8]:
    """Read a mask whose values are labels.

    Args:
        path: A file of one channel (palette or grey), or of three equal ones.
        white: What white means in a file of 1 bit a pixel.

    Returns:
        uint8 `[height, width]`, upright.

    Raises:
        DataError: The file is missing or damaged.
        MaskError: It holds colours or values above 255, its alpha channel says something of its
            own, or its format does not keep values.
    """
    picture = open_picture(path)
    _refuse_lossy(path, picture)
    if picture.format == "GIF":
        # Its encoders renumber the palette, so that only the shades are left of the labels.
        picture = picture.convert("RGB")
    return _values(path, upright(picture), white)


def read_gray(path: Path, white: int = 255) -> NDArray[np.uint8]:
    """Read a soft mask as 0 and 255, split where the measures of saliency split it (> 128)."""
    picture = open_picture(path)
    if "A" in picture.getbands():
        _refuse_alpha(path, upright(picture))
    gray = read_image(path)[..., 0]
    return np.where(gray > 128, 255, 0).astype(np.uint8)


def color_reader(
    values: Mapping[Color, int], ignored: Color | None = None
) -> Callable[[Path, int], NDArray[np.uint8]]:
    """Return a reader of masks that show each class by its colour.

    Args:
        values: The value of each colour.
        ignored: The colour of what is not labelled, read as 255.
    """
    table = {_packed(color): value for color, value in values.items()}
    if ignored is not None:
        table[_packed(ignored)] = IGNORED
    known = np.array(sorted(table), np.uint32)
    meaning = np.array([table[int(color)] for color in known], np.uint8)

    def read(path: Path, white: int) -> NDArray[np.uint8]:
        picture = open_picture(path)
        _refuse_lossy(path, picture)
        if "A" in picture.getbands():
            _refuse_alpha(path, upright(picture))
        pixels = read_image(path).astype(np.uint32)
        packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
        place = np.searchsorted(known, packed).clip(max=len(known) - 1)
        strange = known[place] != packed
        if strange.any():
            red, green, blue = pixels[strange][0]
            raise MaskError(
                "colours of no class",
                f"the mask {path} has the colour [{red}, {green}, {blue}] ({strange.mean():.2%} of "
                "its pixels are of no class's colour); add it to classes.yaml, or save the mask "
                "again without smoothing.",
            )
        return meaning[place]

    return read


def palette_checked(
    colors: Mapping[int, Color],
) -> Callable[[Path, int], NDArray[np.uint8]]:
    """Return a reader of values that refuses a palette which contradicts the classes.

    Args:
        colors: The colour of each value's class.
    """

    def read(path: Path, white: int) -> NDArray[np.uint8]:
        picture = open_picture(path)
        values = read_values(path, white)
        if picture.mode == "P":
            _refuse_other_palette(path, picture, values, colors)
        return values

    return read


def _refuse_other_palette(
    path: Path, picture: Image.Image, values: NDArray[np.uint8], colors: Mapping[int, Color]
) -> None:
    shown = np.array(picture.getpalette() or [], np.uint8).reshape(-1, 3)
    used = [int(value) for value in np.unique(values) if value < len(shown)]
    ramp = all((shown[value] == value).all() for value in used)
    if ramp or len({tuple(shown[value]) for value in used}) < len(used):
        return  # What programs write where nobody chose colours.
    for value in used:
        color = tuple(shown[value].tolist())
        others = [o for o, theirs in colors.items() if o != value and _alike(theirs, color)]
        if others and value in colors and not _alike(colors[value], color):
            raise MaskError(
                "palette against classes.yaml",
                f"the mask {path} shows the value {value} in the colour {list(color)}, which "
                f"classes.yaml gives to the value {others[0]}; correct the order of the classes "
                "there, or add `masks: colors` to read the masks by their colours.",
            )


def _alike(one: Color, other: Color) -> bool:
    """Whether two colours differ as little as conversions between programs make them differ."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _NEAR


def _values(path: Path, picture: Image.Image, white: int) -> NDArray[np.uint8]:
    if picture.mode == "1":
        return np.where(np.asarray(picture), np.uint8(white), np.uint8(0))
    if picture.mode == "P":
        return np.asarray(picture, np.uint8)
    if "A" in picture.getbands() or "a" in picture.getbands():
        _refuse_alpha(path, picture)
    values = np.asarray(picture)
    if picture.mode in ("LA", "PA", "La"):
        return values[..., 0]
    if picture.mode in ("RGB", "RGBA", "RGBX", "RGBa"):
        if np.ptp(values[..., :3], axis=-1).max(initial=0) > 0:
            raise _colors_error(path, values)
        return np.ascontiguousarray(values[..., 0])
    if values.ndim != 2:
        raise MaskError(
            "not one label a pixel",
            f"the mask {path} has mode {picture.mode}, not one label a pixel; save it as an 8-bit "
            "single-channel PNG.",
        )
    _refuse_deep(path, picture, values)
    return values.astype(np.uint8)


def _colors_error(path: Path, values: NDArray[np.uint8]) -> MaskError:
    colored = values[..., :3][np.ptp(values[..., :3], axis=-1) > 0]
    return MaskError(
        "coloured masks",
        f"the mask {path} has colours such as {colored[0].tolist()} (mode RGB) instead of one "
        "label a pixel; add `masks: colors` to a classes.yaml with each class's colour, or save "
        "it as an 8-bit single-channel PNG.",
    )


def _refuse_deep(path: Path, picture: Image.Image, values: NDArray[np.generic]) -> None:
    if not np.isfinite(values).all() or values.min(initial=0) < 0:
        wrong = "values that are no labels"
    elif values.max(initial=0) > 255:
        wrong = f"values up to {values.max():.0f}"
    elif (values != np.floor(values)).any():
        wrong = "values between the whole numbers"
    else:
        return
    raise MaskError(
        "values beyond 8 bits",
        f"the mask {path} has mode {picture.mode} and {wrong}, but labels are 0 to 255; save it "
        "as an 8-bit single-channel PNG whose values are the classes.",
    )


def _refuse_alpha(path: Path, picture: Image.Image) -> None:
    bands = np.asarray(picture)
    alpha, values = bands[..., -1], bands[..., :-1]
    if np.ptp(alpha) == 0 and alpha.flat[0] > 0:
        return
    # A transparent background repeats what the values say.
    if np.array_equal(alpha > 0, values.any(axis=-1)) and set(np.unique(alpha)) <= {0, 255}:
        return
    raise MaskError(
        "labels in the alpha channel",
        f"the mask {path} has an alpha channel (mode {picture.mode}) that says something else "
        "than its values; save what you mean as an 8-bit single-channel PNG, without alpha.",
    )


def _refuse_lossy(path: Path, picture: Image.Image) -> None:
    tiff = picture.format == "TIFF" and picture.info.get("compression") in _LOSSY_TIFF
    lossy = picture.format in _LOSSY_FORMATS or tiff
    if lossy or _is_lossy_webp(path, picture) or _is_lossy_jpeg2000(path, picture):
        raise MaskError(
            "masks in a lossy format",
            f"the mask {path} is a lossy {picture.format}, which smears labels; export it again "
            "as PNG, or, if it is black and white, name the labels gray to split it in the middle.",
        )


def _is_lossy_jpeg2000(path: Path, picture: Image.Image) -> bool:
    if picture.format != "JPEG2000":
        return False
    # The segment COD ends its 14 bytes with the wavelet: 0 is the 9-7 one, which rounds.
    content = path.read_bytes()
    at = content.find(b"\xff\x52\x00")
    return 0 <= at < len(content) - 13 and content[at + 13] == 0


def _is_lossy_webp(path: Path, picture: Image.Image) -> bool:
    if picture.format != "WEBP":
        return False
    # A RIFF file: chunks of a name, a length and that many bytes. "VP8 " holds lossy pixels.
    content, at = path.read_bytes(), 12
    while at + 8 <= len(content):
        if content[at : at + 4] == b"VP8 ":
            return True
        if content[at : at + 4] == b"ANMF":
            at += 24
            continue
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return False


def values_in(mask: NDArray[np.uint8]) -> frozenset[int]:
    """Return the values that a mask holds, uint8 `[height, width]`."""
    # Counting is faster than sorting.
    return frozenset(np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist())


def smeared_share(values: NDArray[np.uint8]) -> float:
    """Return how much of a mask's edges are ramps, as smoothing or a lossy format leaves them.

    Args:
        values: uint8 `[height, width]`.

    Returns:
        Of the pixels whose left and right (or upper and lower) neighbours differ, the share that
        lies strictly between the two, 0…1; 0 where there are few such pixels.
    """
    edges = between = 0
    for one in (values, values.T):
        before, here, after = one[:, :-2], one[:, 1:-1], one[:, 2:]
        edges += int((before != after).sum())
        between += int(((before < here) & (here < after)).sum())
        between += int(((before > here) & (here > after)).sum())
    return between / edges if edges >= 50 else 0.0


def _packed(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]

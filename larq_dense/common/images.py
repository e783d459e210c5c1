"""Pictures in and label maps out: decoding, and the preprocessing that travels with a model."""

import contextlib
import io
import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from larq_dense.common.errors import DataError

ImageLike = str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[np.uint8]
"""What a picture may come as: a path, a file's bytes, an open file, Pillow's or NumPy's."""

Fit = Literal["stretch", "letterbox"]

CHANNELS = (1, 3, 4)
"""How many channels a network may see: grey, RGB, or four of a picture's own, such as RGB and
near infrared."""

logger = logging.getLogger(__name__)

DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise for damaged files, by where the damage is."""

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

_ORIENTATION = 0x0112
_STRIPE = 1 << 16

# Bits that cameras and scanners give a grey value, whatever the file's own type.
_DEPTHS = (8, 10, 12, 14, 16)
# Pictures of light, 0…1, may shine somewhat brighter than white.
_BRIGHTEST = 16


def _content(source: str | Path | BinaryIO) -> bytes:
    if isinstance(source, str | Path):
        return Path(source).read_bytes()
    return source.read()


def open_picture(source: Any) -> Image.Image:
    """Decode a picture's file, whatever its mode.

    Args:
        source: Its path, its bytes, or the file, open for reading in binary.

    Raises:
        DataError: The file is missing, truncated, too large or no picture.
    """
    name = f"the image {source}" if isinstance(source, str | Path) else "the image"
    if isinstance(source, bytes | bytearray | memoryview):
        source = io.BytesIO(source)
    try:
        with _opened(source) as file:
            return _decoded(file, name)
    except FileNotFoundError as error:
        raise DataError(f"no such image: {source}.") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise DataError(
            f"{name} has more than {most:.0f} million pixels, too many to decode safely; make it "
            "smaller."
        ) from error
    except DAMAGED as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {name}: {reason}; replace or remove it.") from error


@contextlib.contextmanager
def _opened(source: Any) -> Iterator[Any]:
    """Give a file that seeks, as Pillow needs it, and that has no name.

    Of a named file Pillow maps uncompressed TIFF into memory, and takes rows for columns where
    EXIF turns the picture.
    """
    is_path = isinstance(source, str | Path)
    if is_path and Path(source).is_file():
        with Path(source).open("rb") as file:
            yield file
    elif is_path or not source.seekable():
        yield io.BytesIO(_content(source))
    else:
        yield source


def _decoded(file: Any, name: str) -> Image.Image:
    try:
        picture = Image.open(file)
    except UnidentifiedImageError as error:
        return _open_otherwise(file, name, error)
    with picture:
        picture.load()
        if not getattr(picture, "is_animated", False):
            return picture
        # Counting them may move on to another.
        first, frames = picture.copy(), getattr(picture, "n_frames", 0)
        first.format = picture.format
        # MPO is how phones keep a map of depth or brightness behind a photograph.
        if picture.format != "MPO":
            logger.warning("%s holds %d pictures; only the first is read.", name, frames)
        return first


def _open_otherwise(file: Any, name: str, error: Exception) -> Image.Image:
    """Decode what Pillow alone does not know, or say what it is."""
    file.seek(0)
    head = file.read()
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if not head:
        raise DataError(f"cannot read {name}: it is empty; replace or remove it.") from error
    if brand in _AVIF_BRANDS and features.check("avif"):
        raise DataError(
            f"cannot read {name}: the AVIF is damaged; replace or remove it."
        ) from error
    if brand in _AVIF_BRANDS:
        raise DataError(
            f"cannot read {name}: it is AVIF, which Pillow reads from 11.3 on; run "
            "`pip install --upgrade pillow`."
        ) from error
    if brand not in _HEIF_BRANDS:
        raise DataError(
            f"cannot read {name}: it is no picture, or of a kind that Pillow does not know; "
            "convert it to PNG or JPEG, or remove it."
        ) from error
    try:
        import pillow_heif
    except ImportError:
        raise DataError(
            f"cannot read {name}: it is HEIC; run `pip install pillow-heif` or convert it."
        ) from error
    try:
        decoded: Image.Image = pillow_heif.open_heif(io.BytesIO(head)).to_pillow()
    except (*DAMAGED, RuntimeError) as damage:
        raise DataError(f"cannot read {name}: {damage}; replace or remove it.") from damage
    return decoded


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF orientation says."""
    try:
        if picture.getexif().get(_ORIENTATION, 1) == 1:
            return picture
        return ImageOps.exif_transpose(picture) or picture
    except DAMAGED:
        # Damaged EXIF spoils no pixel.
        return picture


def _to_channels(picture: Image.Image, channels: int, name: str) -> NDArray[np.uint8]:
    if channels == 3:
        return np.asarray(_to_rgb(picture, name))
    picture = upright(picture)
    if channels == 1:
        return np.asarray(_to_rgb(picture, name).convert("L"))[..., None]
    if len(picture.getbands()) != channels:
        raise DataError(
            f"{name} has {len(picture.getbands())} channels ({picture.mode}), but {channels} are "
            "asked for, as a PNG or TIFF of RGBA has; use pictures of that kind."
        )
    return np.asarray(picture)


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    picture = upright(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        # Pillow clips such values to 255 instead of scaling them.
        picture = Image.fromarray(_to_8_bits(np.asarray(picture), name))
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _to_8_bits(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Scale grey values of more bits, or real ones, to 0…255.

    No file says where white is. Real values of 0…1 are taken for such, others for integers of
    the fewest of the usual bits that hold the largest.

    Raises:
        DataError: Most of them would become black: they are no numbers, or negative.
    """
    real = np.issubdtype(values.dtype, np.floating)
    if real and not np.isfinite(values).any():
        raise DataError(f"{name} holds no number but NaN or infinity; save it again.")
    values = np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0)
    highest = float(values.max(initial=0))
    if real and highest < _BRIGHTEST:
        white = 1.0
    else:
        white = next((2.0**bits - 1 for bits in _DEPTHS if highest < 2.0**bits), highest)
    lowest = float(values.min(initial=0))
    # Sharpening leaves values somewhat below black; half of a picture there is another scale.
    if -lowest > highest / 2:
        raise DataError(
            f"{name} has values from {lowest:g} to {highest:g}, and no file says which of them is "
            "black; scale it to 0…1 or 0…255."
        )
    return (values * np.float32(255 / white) + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def read_image(image: ImageLike, channels: int = 3) -> NDArray[np.uint8]:
    """Return a picture as RGB, whatever it came as, or in another number of channels.

    Args:
        image: A path, a file's bytes, an open file, a Pillow image, or a uint8 array
            `[height, width]`, `[height, width, 1]`, `[height, width, 3]` or
            `[height, width, 4]`. Grey-scale is repeated, alpha dropped, values of more than 8
            bits and real ones scaled to 0…255, EXIF orientation applied. Of an animation or a
            document the first picture counts, and a warning is logged.
        channels: 3 for RGB, 1 for grey, 4 for the four channels of a file, alpha as the others.

    Returns:
        uint8 `[height, width, channels]`.

    Raises:
        DataError: The file is missing, truncated or no picture, or the array has a wrong shape
            or type.

    Examples:
        >>> read_image("photo.jpg").shape
        (300, 451, 3)
    """
    name = f"the image {image}" if isinstance(image, str | Path) else "the image"
    if isinstance(image, str | Path | bytes | bytearray | memoryview) or hasattr(image, "read"):
        image = open_picture(image)
    if isinstance(image, Image.Image):
        try:
            image.load()
        except DAMAGED as error:
            raise DataError(f"cannot read the image: {error}; replace it.") from error
        return _to_channels(image, channels, name)
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise DataError(f"an image array must be uint8, not {array.dtype}; scale it to 0…255.")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise DataError(
            f"an image array must be [height, width, 1, 3 or 4], not {list(np.shape(image))}."
        )
    if array.shape[-1] == channels:
        return np.ascontiguousarray(array)
    plane = array[..., 0] if array.shape[-1] == 1 else array
    return _to_channels(Image.fromarray(plane), channels, "the image")


def resize_pixels(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a picture bilinearly, antialiased where it shrinks.

    Args:
        pixels: uint8 `[h, w, channels]`.
        height: Rows of the result.
        width: Columns of the result.
    """
    if pixels.shape[-1] == 3:
        return np.asarray(resize(Image.fromarray(pixels), height, width))
    # Pillow would take a fourth channel for alpha, and weigh the others by it.
    planes = np.moveaxis(pixels, -1, 0)
    resized = [resize(Image.fromarray(np.ascontiguousarray(p)), height, width) for p in planes]
    return np.stack([np.asarray(plane) for plane in resized], axis=-1)


def resize(
    picture: Image.Image,
    height: int,
    width: int,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Resize bilinearly, antialiased where it shrinks: first along rows, then along columns.

    Each pass rounds, so that their order counts. Pillow goes along rows first, but from version 13
    on along columns where that is cheaper, which needs a height that shrinks.

    Args:
        picture: In any of Pillow's modes that can be blended.
        height: Rows of the result.
        width: Columns of the result.
        box: The part to resize, as left, top, right, bottom; all if left out.
    """
    left, top, right, bottom = box or (0, 0, *picture.size)
    if height < bottom - top and width != right - left:
        rows = (left, 0, right, picture.height)
        picture = picture.resize((width, picture.height), Image.Resampling.BILINEAR, rows)
        left, right = 0, width
    if box is None and picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling.BILINEAR, (left, top, right, bottom))


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input, and its output a picture-sized map again.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
        mean: Subtracted from each channel, in 0…255; as many as the network has channels.
        std: Divided by afterwards, in 0…255.
        fit: `"stretch"` resizes a picture to the input, whatever its shape; `"letterbox"` keeps
            its shape, in the middle of black.

    Raises:
        DataError: `fit` is unknown, or `mean` and `std` are not of 1, 3 or 4 channels.

    Examples:
        >>> Preprocessing(height=224, width=320)("photo.jpg").shape
        (1, 224, 320, 3)
    """

    height: int
    width: int
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    fit: Fit = "stretch"

    def __post_init__(self) -> None:
        if self.fit not in get_args(Fit):
            raise DataError(
                f"a picture's fit is {' or '.join(get_args(Fit))}, not {self.fit!r}; take a newer "
                "larq_dense, or correct it."
            )
        if self.channels not in CHANNELS or len(self.std) != self.channels:
            raise DataError(
                f"mean and std have {len(self.mean)} and {len(self.std)} values; give each 1, 3 or "
                "4, one a channel."
            )

    @property
    def channels(self) -> int:
        """Channels of the network's input: 1 for grey, 3 for RGB, 4 for a file's own."""
        return len(self.mean)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Of the network, `(1, height, width, channels)`."""
        return 1, self.height, self.width, self.channels

    def read(self, image: ImageLike) -> NDArray[np.uint8]:
        """Return a picture in the network's channels; see `read_image`."""
        return read_image(image, self.channels)

    def content(self, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of the input that a picture of this size fills."""
        if self.fit == "stretch":
            return slice(0, self.height), slice(0, self.width)
        # In whole numbers, which JavaScript and Kotlin round in the same way.
        if self.height * width <= self.width * height:
            rows, columns = self.height, _share(width, self.height, height)
        else:
            rows, columns = _share(height, self.width, width), self.width
        top, left = (self.height - rows) // 2, (self.width - columns) // 2
        return slice(top, top + rows), slice(left, left + columns)

    def resize(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a picture to the input's size, bilinearly and antialiased.

        Args:
            pixels: uint8 `[height, width, channels]`.

        Returns:
            uint8 of the input's height and width.
        """
        rows, columns = self.content(*pixels.shape[:2])
        size = rows.stop - rows.start, columns.stop - columns.start
        resized = resize_pixels(pixels, *size)
        if size == (self.height, self.width):
            return resized
        padded = np.zeros((self.height, self.width, pixels.shape[-1]), np.uint8)
        padded[rows, columns] = resized
        return padded

    def normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Map pixel values 0…255 `[..., channels]` to the network's range, as float32."""
        mean = np.asarray(self.mean, np.float32)
        return (pixels.astype(np.float32) - mean) / np.asarray(self.std, np.float32)

    def __call__(self, image: ImageLike) -> NDArray[np.float32]:
        """Read, resize (bilinear, antialiased) and normalize one picture.

        Returns:
            float32 `[1, height, width, channels]`.
        """
        return self.normalize(self.resize(self.read(image)))[None]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values; `fit` only where it is not the default."""
        values = asdict(self)
        if self.fit == "stretch":
            # Files made before there was a choice stay the same bytes.
            del values["fit"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """Rebuild from `to_dict`'s values."""
        return cls(
            height=int(values["height"]),
            width=int(values["width"]),
            mean=tuple(values["mean"]),
            std=tuple(values["std"]),
            fit=values.get("fit", "stretch"),
        )


def _share(side: int, part: int, whole: int) -> int:
    """Return `side * part / whole`, rounded, a half up, and at least 1."""
    return max(1, (2 * side * part + whole) // (2 * whole))


def overlay(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    palette: NDArray[np.uint8],
    opacity: float = 0.5,
) -> NDArray[np.uint8]:
    """Blend a label map over its picture.

    Args:
        image: uint8 `[height, width, 3]`.
        labels: Integers `[height, width]`; values outside the palette stay uncoloured.
        palette: uint8 `[classes, 3]`; a colour of (0, 0, 0) leaves the picture as it is.
        opacity: Weight of the colour, 0…1.

    Returns:
        uint8 `[height, width, 3]`.

    Examples:
        >>> picture, labels = np.zeros((2, 2, 3), np.uint8), np.array([[0, 1], [1, 1]])
        >>> overlay(picture, labels, np.array([[0, 0, 0], [255, 0, 0]], np.uint8))[0].tolist()
        [[0, 0, 0], [128, 0, 0]]
    """
    # What each value becomes, `[3, class, value]`; the last class is for all others.
    shown = np.append(palette.any(axis=-1), False)[:, None]
    kept = np.where(shown, np.float32(1 - opacity), np.float32(1))
    added = np.append(palette, np.zeros((1, 3)), axis=0).astype(np.float32) * np.float32(opacity)
    values = np.arange(256, dtype=np.float32)
    mixed = np.rint(values * kept[..., None] + (added * shown)[..., None]).astype(np.uint8)
    tables = np.moveaxis(mixed, 1, 0).reshape(3, -1)
    blend = np.empty_like(image)
    # A stripe at a time, which stays in the processor's cache.
    stripe = max(1, _STRIPE // image.shape[1])
    for top in range(0, len(image), stripe):
        rows = slice(top, top + stripe)
        part = labels[rows]
        known = np.where((part >= 0) & (part < len(palette)), part, len(palette))
        first = known.astype(np.intp) * 256
        for channel, table in enumerate(tables):
            blend[rows, :, channel] = table.take(first + image[rows, :, channel])
    return blend

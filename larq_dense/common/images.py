"""Pictures in and label maps out: decoding, and the preprocessing that travels with a model."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from larq_dense.common.errors import DataError

ImageLike = str | Path | Image.Image | NDArray[np.uint8]


def open_picture(path: str | Path) -> Image.Image:
    """Decode a picture's file, whatever its mode.

    Raises:
        DataError: The file is missing, truncated, too large or no picture.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            copy = picture.copy()
            copy.format = picture.format
            return copy
    except FileNotFoundError as error:
        raise DataError(f"no such image: {path}.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read the image {path}: {error}; replace or remove it.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"the image {path} is too large to decode safely: {error}.") from error


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(picture) or picture
    except SyntaxError:
        # Damaged EXIF spoils no pixel.
        return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    picture = upright(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        # Pillow clips 16-bit grey values to 255 instead of scaling them.
        values = np.asarray(picture, np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        picture = Image.fromarray((values * (255.0 / top)).clip(0, 255).astype(np.uint8))
    return picture.convert("RGB")


def read_image(image: ImageLike) -> NDArray[np.uint8]:
    """Return a picture as RGB, whatever it came as.

    Args:
        image: A path, a Pillow image, or a uint8 array `[height, width]`, `[height, width, 1]`,
            `[height, width, 3]` or `[height, width, 4]`. Grey-scale is repeated, alpha dropped,
            16-bit scaled down, EXIF orientation applied.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        DataError: The file is missing, truncated or no picture, or the array has a wrong shape
            or type.
    """
    if isinstance(image, str | Path):
        image = open_picture(image)
    if isinstance(image, Image.Image):
        try:
            image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"cannot read the image: {error}; replace it.") from error
        return np.asarray(_to_rgb(image))
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise DataError(f"an image array must be uint8, not {array.dtype}; scale it to 0…255.")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise DataError(
            f"an image array must be [height, width, 1, 3 or 4], not {list(np.shape(image))}."
        )
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array[..., :3])


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input, and its output a picture-sized map again.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
        mean: Subtracted from each of R, G, B, in 0…255.
        std: Divided by afterwards, in 0…255.
    """

    height: int
    width: int
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)

    def normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Map pixel values 0…255 `[..., 3]` to the network's range, as float32."""
        mean = np.asarray(self.mean, np.float32)
        return (pixels.astype(np.float32) - mean) / np.asarray(self.std, np.float32)

    def __call__(self, image: ImageLike) -> NDArray[np.float32]:
        """Read, resize (bilinear, antialiased) and normalize one picture.

        Returns:
            float32 `[1, height, width, 3]`.
        """
        picture = Image.fromarray(read_image(image))
        size = (self.width, self.height)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        return self.normalize(np.asarray(picture))[None]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """Rebuild from `to_dict`'s values."""
        return cls(
            height=int(values["height"]),
            width=int(values["width"]),
            mean=tuple(values["mean"]),
            std=tuple(values["std"]),
        )


def resize_scores(scores: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Bring logits or probabilities `[h, w, channels]` to another size, bilinearly.

    Returns:
        float32 `[height, width, channels]`.
    """
    scores = np.asarray(scores, np.float32)
    if scores.shape[:2] == (height, width):
        return scores
    planes = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(scores[..., c])).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
        for c in range(scores.shape[-1])
    ]
    return np.stack(planes, axis=-1)


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
    """
    known = (labels >= 0) & (labels < len(palette))
    colors = palette[np.where(known, labels, 0)]
    shown = known & colors.any(axis=-1)
    blend = (1 - opacity) * image + opacity * colors
    return np.where(shown[..., None], blend.round().astype(np.uint8), image)

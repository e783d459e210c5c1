"""Objects cut out of their pictures: alpha from the probability, edges from the picture itself."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageFilter, ImageOps

from larq_dense.common.errors import DataError
from larq_dense.common.images import read_image

Background = Callable[[Image.Image], Image.Image]
"""Makes the background of an object from the picture, as RGB of the picture's size."""

# The guided filter's windows: their spacing, as a share of the longer side, and the contrast,
# of colours in 0…1, below which an edge of the picture is none.
_WINDOWS = 32
_CONTRAST = 1e-3
# Windows are fitted on a picture of at most this longer side.
_FITTED = 1024
# Probabilities below and above are taken for certain, so that no veil is left.
_CERTAIN = (0.1, 0.9)
_BLUR = 0.02


def cut_out(pixels: NDArray[np.uint8], probability: NDArray[np.float32]) -> Image.Image:
    """Cut an object out of its picture.

    Args:
        pixels: uint8 `[height, width, 3]`.
        probability: float32 `[height, width]`, 0…1: of the object.

    Returns:
        The picture as RGBA, transparent where the object is not.
    """
    alpha = refine(pixels, probability)
    low, high = _CERTAIN
    opacity = ((alpha - low) * (255 / (high - low)) + 0.5).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture.putalpha(Image.fromarray(opacity))
    return picture


def refine(pixels: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move a probability's edges to those of the picture, by a guided filter in colour.

    He et al., "Guided Image Filtering" (TPAMI 2013), made faster as in arXiv 1505.00996: in each
    window the probability is fitted by a linear function of the colour, on a small copy; the
    functions, not the fit, are then resized to the picture. Pillow's antialiased resizing gives
    the windows' means, with weights of a triangle instead of a box.

    Args:
        pixels: uint8 `[height, width, 3]`.
        probability: float32 `[height, width]`, 0…1.

    Returns:
        float32 `[height, width]`, 0…1.
    """
    height, width = probability.shape
    small = _at_most((width, height), _FITTED)
    colors = np.asarray(Image.fromarray(pixels).resize(small, Image.Resampling.BILINEAR))
    color = colors.astype(np.float32) / 255
    share = _resized(probability, small)
    windows = _at_most(small, _WINDOWS)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return _resized(values, windows)

    means = np.stack([mean(color[..., c]) for c in range(3)], axis=-1)
    average = mean(share)
    products = np.stack([mean(color[..., c] * share) for c in range(3)], axis=-1)
    squares = [[mean(color[..., a] * color[..., b]) for b in range(3)] for a in range(3)]
    covariance = np.moveaxis(np.array(squares), (0, 1), (-2, -1))
    covariance = covariance - means[..., :, None] * means[..., None, :]
    covariance += _CONTRAST * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(covariance, (products - means * average[..., None])[..., None])[..., 0]
    offset = average - (slope * means).sum(axis=-1)
    functions = [Image.fromarray(np.ascontiguousarray(slope[..., c])) for c in range(3)]
    functions.append(Image.fromarray(offset))
    refined = np.empty((height, width), np.float32)
    for rows in _stripes(height, width):
        box = (0, rows.start * windows[1] / height, windows[0], rows.stop * windows[1] / height)
        size = (width, rows.stop - rows.start)
        *slopes, refined[rows] = (
            np.asarray(each.resize(size, Image.Resampling.BILINEAR, box)) for each in functions
        )
        for channel, factor in enumerate(slopes):
            refined[rows] += factor * (pixels[rows, :, channel] * np.float32(1 / 255))
    return refined.clip(0, 1)


def background(name: str) -> Background:
    """Return what a user asks to see behind an object.

    Args:
        name: A colour as in CSS (`white`, `#00ff00`), `blur`, or a picture's path.

    Raises:
        DataError: It is neither.
    """
    if name == "blur":
        return _blurred
    try:
        color = ImageColor.getrgb(name)[:3]
    except ValueError:
        pass
    else:
        return lambda picture: Image.new("RGB", picture.size, color)
    try:
        behind = Image.fromarray(read_image(name))
    except DataError as error:
        raise DataError(
            f"the background {name} is no colour, not 'blur', and no picture: {error}"
        ) from error
    return lambda picture: ImageOps.fit(behind, picture.size)


def _blurred(picture: Image.Image) -> Image.Image:
    # Blurring a small picture looks the same and is faster.
    small = picture.resize(_at_most(picture.size, 512), Image.Resampling.BILINEAR)
    blurred = small.filter(ImageFilter.GaussianBlur(_BLUR * max(small.size)))
    return blurred.resize(picture.size, Image.Resampling.BILINEAR)


def place(cut: Image.Image, behind: Background) -> Image.Image:
    """Lay an object on a background.

    Args:
        cut: RGBA, from `cut_out`.
        behind: From `background`.

    Returns:
        RGB of the same size.
    """
    return Image.composite(cut.convert("RGB"), behind(cut.convert("RGB")), cut.getchannel("A"))


def _at_most(size: tuple[int, int], longest: int) -> tuple[int, int]:
    factor = min(1.0, longest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _resized(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    plane = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(plane.resize(size, Image.Resampling.BILINEAR))


def _stripes(height: int, width: int) -> Iterator[slice]:
    count = max(1, (1 << 18) // width)
    for top in range(0, height, count):
        yield slice(top, min(top + count, height))

"""Training and validation pictures, decoded once and kept in memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing, read_image, resize_pixels
from larq_dense.common.machine import available_memory
from larq_dense.common.sampling import evenly_spaced
from larq_dense.tasks.task import image_size

if TYPE_CHECKING:
    from larq_dense.tasks import Sample, Task

logger = logging.getLogger(__name__)

IGNORE = 255
# Beyond the picture's border, where even a teacher has nothing to say.
OUTSIDE = 254

# Of files that are wrong, in one sentence.
_SHOWN = 3
# Training itself and what else runs need memory, too.
_SHARE = 0.7


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: uint8 `[height, width, channels]`.
        label: uint8 `[height, width]`, class ids, 255 where ignored. Validation keeps the label
            at its own size while `pixels` has the network's.
    """

    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8]


def load_training(
    samples: Sequence[Sample], task: Task, longest_side: int | None = None, channels: int = 3
) -> list[Picture]:
    """Decode training pictures, each file once, in the order of `samples`.

    Args:
        samples: Pictures, those without mask all ignored; the same one may be listed several
            times.
        task: Reads the masks.
        longest_side: Larger pictures are scaled down to this, masks by nearest neighbour.
        channels: Of the pictures in memory.

    Raises:
        DataError: A picture cannot be decoded, a mask is wrong, or they need more memory than
            there is.
    """
    unique = {(sample.image, sample.mask): sample for sample in samples}
    _check_memory([sample.image for sample in unique.values()], longest_side)

    def load(sample: Sample) -> Picture | DataError:
        try:
            pixels = read_image(sample.image, channels)
            if sample.mask is None:
                label = np.full(pixels.shape[:2], IGNORE, np.uint8)
            else:
                label = task.read_label(sample)
        except DataError as error:
            return error
        return _limit(Picture(pixels, label), longest_side)

    with ThreadPoolExecutor() as pool:
        decoded = dict(zip(unique, pool.map(load, unique.values()), strict=True))
    wrong = [each for each in decoded.values() if isinstance(each, DataError)]
    if wrong:
        raise DataError(_all_wrong(wrong))
    found = (decoded[sample.image, sample.mask] for sample in samples)
    return [each for each in found if isinstance(each, Picture)]


def _all_wrong(errors: Sequence[DataError]) -> str:
    """Name the first files that are wrong, and say how to find the others."""
    if len(errors) == 1:
        return str(errors[0])
    shown = "; ".join(str(error).rstrip(".") for error in errors[:_SHOWN])
    return (
        f"{len(errors)} training pictures or masks are wrong: {shown}; `larq-dense data check` "
        "names all of them."
    )


def _check_memory(paths: Sequence[Path], longest_side: int | None) -> None:
    """Raise DataError where pictures would need more memory than there is."""
    with ThreadPoolExecutor() as pool:
        sizes = [size for size in pool.map(_size, paths) if size is not None]
    free, needed = available_memory(), _bytes_in_memory(sizes, longest_side)
    if needed <= free:
        return
    largest = max(max(size) for size in sizes)
    sides = range(32, min(longest_side or largest, largest), 32)
    fitting = [side for side in sides if _bytes_in_memory(sizes, side) <= _SHARE * free]
    smaller = f"set data.longest_side to {fitting[-1]} or less, or " if fitting else ""
    raise DataError(
        f"the {len(paths)} training pictures need {needed / 2**30:.1f} GiB of memory, and "
        f"{free / 2**30:.1f} GiB are free; {smaller}train on fewer pictures."
    )


def _bytes_in_memory(sizes: Sequence[tuple[int, int]], longest_side: int | None) -> int:
    """Return what pictures of these heights and widths take: three bytes a pixel and a label."""
    total = 0
    for height, width in sizes:
        scale = min(1.0, (longest_side or math.inf) / max(height, width))
        total += round(4 * height * width * scale**2)
    return total


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return image_size(path)
    except DataError:
        return None


def load_validation(
    samples: Sequence[Sample], task: Task, preprocessing: Preprocessing, limit: int | None = None
) -> list[Picture]:
    """Decode validation pictures at the network's size, with labels at their own size.

    Args:
        samples: Pictures with masks.
        task: Reads the masks.
        preprocessing: Gives the network's size.
        limit: At most this many, evenly spread over `samples`.

    Raises:
        DataError: A picture or a mask is unreadable or wrong.
    """
    if limit is not None:
        samples = evenly_spaced(samples, limit)

    def load(sample: Sample) -> Picture:
        picture = Picture(preprocessing.read(sample.image), task.read_label(sample))
        return at_network_size(picture, preprocessing)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(load, samples))


def at_network_size(picture: Picture, preprocessing: Preprocessing) -> Picture:
    """Return a picture with its pixels at the network's size, and its label as it is."""
    return Picture(preprocessing.resize(picture.pixels), picture.label)


def class_shares(pictures: Sequence[Picture], num_classes: int) -> NDArray[np.float64]:
    """Return each class's share of the labelled pixels, float64 `[num_classes]`."""
    counts = np.zeros(256, np.int64)
    for picture in pictures:
        counts += np.bincount(picture.label.reshape(-1), minlength=256)
    labelled = counts[:num_classes].astype(np.float64)
    return labelled / max(1.0, labelled.sum())


def check_teaching(pictures: Sequence[Picture], task: Task, title: str) -> None:
    """Look whether pictures show what a network is to tell apart.

    A class in no picture is logged as a warning.

    Args:
        pictures: What is trained on.
        task: Gives the classes.
        title: Where they come from, for the message.

    Raises:
        DataError: Nothing is labelled, or only one class.
    """
    shares = class_shares(pictures, len(task.classes))
    shown = [name for name, share in zip(task.class_names, shares, strict=True) if share > 0]
    missing = [name for name in task.class_names if name not in shown]
    if len(shown) < 2:
        what = f"only {shown[0]!r}" if shown else "no labelled pixel"
        raise DataError(
            f"the masks of {title} show {what}, so there is nothing to learn; see what `larq-dense "
            "data check` says of them."
        )
    if missing:
        logger.warning("no mask of %s shows %s.", title, ", ".join(map(repr, missing)))


def check_labelled(pictures: Sequence[Picture], title: str) -> None:
    """Raise DataError where no pixel of validation pictures is labelled."""
    if not any((picture.label != IGNORE).any() for picture in pictures):
        raise DataError(
            f"the masks of {title} have no labelled pixel to validate on; see what `larq-dense "
            "data check` says of them."
        )


def _limit(picture: Picture, longest_side: int | None) -> Picture:
    height, width = picture.label.shape
    if longest_side is None or max(height, width) <= longest_side:
        return picture
    scale = longest_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = resize_pixels(picture.pixels, size[1], size[0])
    label = Image.fromarray(picture.label).resize(size, Image.Resampling.NEAREST)
    return Picture(pixels, np.asarray(label))

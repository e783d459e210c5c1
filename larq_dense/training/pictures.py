"""Training and validation pictures, decoded once and kept in memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing, read_image, resize_pixels
from larq_dense.common.machine import available_memory
from larq_dense.common.sampling import evenly_spaced
from larq_dense.tasks import frame, problems
from larq_dense.tasks.masks import values_in
from larq_dense.tasks.task import image_size

if TYPE_CHECKING:
    from larq_dense.tasks import Sample, Task
    from larq_dense.tasks.problems import Problem

logger = logging.getLogger(__name__)

IGNORE = 255
# Beyond the picture's border, where even a teacher has nothing to say.
OUTSIDE = 254

# Of files that are wrong, in one sentence.
_SHOWN = 3
# Fewer frames that look wrong than this share spoil no training.
_DOUBTFUL = 0.01
# Training itself and what else runs need memory, too.
_SHARE = 0.7


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: uint8 `[height, width, channels]`.
        label: uint8 `[height, width]`, class ids, 255 where ignored. Validation keeps the label
            at its own size while `pixels` has the network's.
        values: The values in the mask's file; none without a mask.
        doubts: What looks wrong with the frame.
    """

    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8]
    values: frozenset[int] = frozenset()
    doubts: tuple[Problem, ...] = ()


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
        DataError: A picture cannot be decoded, a mask is wrong, `larq-dense data check` finds more
            than one frame in a hundred wrong, or they need more memory than there is.
    """
    unique = {(sample.image, sample.mask): sample for sample in samples}
    _check_memory([sample.image for sample in unique.values()], longest_side)

    def load(sample: Sample) -> Picture | DataError:
        try:
            pixels = read_image(sample.image, channels)
            return _limit(_labelled(pixels, sample, task), longest_side)
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        decoded = dict(zip(unique, pool.map(load, unique.values()), strict=True))
    wrong = [each for each in decoded.values() if isinstance(each, DataError)]
    if wrong:
        raise DataError(_all_wrong(wrong))
    read = [each for each in decoded.values() if isinstance(each, Picture)]
    _check_doubts(read)
    found = (decoded[sample.image, sample.mask] for sample in samples)
    return [each for each in found if isinstance(each, Picture)]


def _labelled(pixels: NDArray[np.uint8], sample: Sample, task: Task) -> Picture:
    """Return a picture with its label, and what looks wrong with the two."""
    doubts = frame.too_small(sample.image, pixels)
    if sample.mask is None:
        label = np.full(pixels.shape[:2], IGNORE, np.uint8)
        return Picture(pixels, label, doubts=tuple(doubts))
    values, label = task.read_values(sample)
    doubts += frame.unfit(sample, values)
    return Picture(pixels, label, values_in(values), tuple(doubts))


def _check_doubts(pictures: Sequence[Picture]) -> None:
    """Raise DataError where more than a few pictures look wrong; of a few, log a warning."""
    doubtful = [picture for picture in pictures if picture.doubts]
    if not doubtful:
        return
    errors = [DataError(picture.doubts[0].message) for picture in doubtful]
    if len(doubtful) > _DOUBTFUL * len(pictures):
        raise DataError(_all_wrong(errors))
    logger.warning("%s", _all_wrong(errors))


def _all_wrong(errors: Sequence[DataError]) -> str:
    """Name the first files that are wrong, and say how to find the others."""
    if len(errors) == 1:
        return str(errors[0])
    shown = "; ".join(str(error).rstrip(".") for error in errors[:_SHOWN])
    return (
        f"{len(errors)} pictures or masks are wrong: {shown}; `larq-dense data check` names all of "
        "them."
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
        limit: At most this many, evenly spaced over `samples`.

    Raises:
        DataError: A picture or a mask is unreadable or wrong, or `larq-dense data check` finds
            more than one frame in a hundred wrong.
    """
    if limit is not None:
        samples = evenly_spaced(samples, limit)

    def load(sample: Sample) -> Picture:
        picture = _labelled(preprocessing.read(sample.image), sample, task)
        return at_network_size(picture, preprocessing)

    with ThreadPoolExecutor() as pool:
        pictures = list(pool.map(load, samples))
    _check_doubts(pictures)
    return pictures


def at_network_size(picture: Picture, preprocessing: Preprocessing) -> Picture:
    """Return a picture with its pixels at the network's size, and its label as it is."""
    return replace(picture, pixels=preprocessing.resize(picture.pixels))


def class_shares(pictures: Sequence[Picture], num_classes: int) -> NDArray[np.float64]:
    """Return each class's share of the labelled pixels, float64 `[num_classes]`."""
    counts = np.zeros(256, np.int64)
    for picture in pictures:
        counts += np.bincount(picture.label.reshape(-1), minlength=256)
    labelled = counts[:num_classes].astype(np.float64)
    return labelled / max(1.0, labelled.sum())


def check_teaching(
    pictures: Sequence[Picture], samples: Sequence[Sample], task: Task, title: str
) -> None:
    """Look whether pictures show what a network is to tell apart.

    A class in no picture is logged as a warning.

    Args:
        pictures: What is trained on.
        samples: Their files.
        task: Gives the classes.
        title: Where they come from, for the message.

    Raises:
        DataError: Nothing is labelled, or only one class.
    """
    images = np.zeros(256, np.int64)
    for picture in pictures:
        images += np.bincount(picture.label.reshape(-1), minlength=256) > 0
    shown = images[: len(task.classes)].tolist()
    masks = list(dict.fromkeys(sample.mask for sample in samples if sample.mask))
    values = set().union(*(picture.values for picture in pictures))
    for problem in problems.in_balance(title, task.class_names, shown, masks, values):
        if sum(map(bool, shown)) < 2:
            raise DataError(problem.message)
        logger.warning("%s", problem.message)


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
    return replace(picture, pixels=pixels, label=np.asarray(label))

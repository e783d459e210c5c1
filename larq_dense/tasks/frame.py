"""What one frame may have wrong though its picture and its mask can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from larq_dense.tasks.masks import SMEARED, smeared_share
from larq_dense.tasks.problems import Problem
from larq_dense.tasks.sources import Sample
from larq_dense.tasks.task import frames, orientation

# Smaller pictures hold nothing that a network could learn.
_TINY = 4


def in_picture(path: Path, pixels: NDArray[np.uint8]) -> list[Problem]:
    """Return what is wrong with a picture.

    Args:
        path: Its file.
        pixels: uint8 `[height, width, channels]`.
    """
    found = _several(path) + too_small(path, pixels)
    if min(pixels.shape[:2]) >= _TINY and (pixels == pixels[0, 0]).all():
        message = f"{path} has one colour everywhere; see whether it is damaged, or remove it."
        found.append(Problem("pictures of one colour", str(path), message, severe=False))
    return found


def too_small(path: Path, pixels: NDArray[np.uint8]) -> list[Problem]:
    """Return the severe problem of `in_picture`, and look for no other."""
    if min(pixels.shape[:2]) >= _TINY:
        return []
    message = f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels; replace it."
    return [Problem("pictures of a few pixels", str(path), message)]


def in_mask(sample: Sample, values: NDArray[np.uint8], label: NDArray[np.uint8]) -> list[Problem]:
    """Return what is wrong with a frame's mask.

    Args:
        sample: The frame.
        values: What the mask's file holds, uint8 `[height, width]`.
        label: The same as class ids, 255 where ignored.
    """
    assert sample.mask is not None
    found = _several(sample.mask) + _turned(sample, label.shape)
    if not (label != 255).any():
        message = f"every pixel of the mask {sample.mask} is ignored; label it, or take it off."
        found.append(Problem("masks without a label", str(sample.mask), message, severe=False))
    return found + _smeared(sample, values)


def unfit(sample: Sample, values: NDArray[np.uint8]) -> list[Problem]:
    """Return the severe problems of `in_mask`, and look for no other."""
    turned = (each for each in _turned(sample, values.shape) if each.severe)
    return [*turned, *_smeared(sample, values)]


def _several(path: Path) -> list[Problem]:
    count = frames(path)
    if count == 1:
        return []
    message = f"{path} holds {count} pictures, of which the first is read; save that one alone."
    return [Problem("files of several pictures", str(path), message, severe=False)]


def _turned(sample: Sample, shape: tuple[int, ...]) -> list[Problem]:
    assert sample.mask is not None
    picture_turn, mask_turn = orientation(sample.image), orientation(sample.mask)
    if picture_turn == mask_turn:
        return []
    height, width = shape
    # Sideways, the size tells that the mask was drawn on what is seen.
    told = height != width and (picture_turn >= 5) != (mask_turn >= 5)
    return [
        Problem(
            "orientation (EXIF) of picture and mask",
            str(sample.image),
            f"{sample.image} and its mask have different EXIF orientations ({picture_turn} "
            f"and {mask_turn}), and each is turned by its own; see whether they fit, turn "
            "the pixels of both and save them without.",
            severe=not told,
        )
    ]


def _smeared(sample: Sample, values: NDArray[np.uint8]) -> list[Problem]:
    if sample.encoding.soft or smeared_share(values) <= SMEARED:
        return []
    message = (
        f"the edges in the mask {sample.mask} are ramps of values, as a lossy format or smooth "
        "resizing leaves them; export it again as PNG, without smoothing."
    )
    return [Problem("smeared masks", str(sample.mask), message)]

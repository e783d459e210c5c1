"""Several looks at one picture, averaged: overlapping tiles, mirror images and scales."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.labels import Prediction, Scores

OVERLAP = 0.25
"""Of two neighbouring tiles, at least this share of each is common to both."""

SCALES = (1.0, 1.5)
"""The scale of the enlarged parts in `--tta`."""

# Pixels on a side of what is blended at one time: of many classes, each pixel takes much memory.
_BLOCK = 128
# The logits of all tiles are kept while they take no more than this, in bytes.
_KEPT = 1 << 28

Predict = Callable[[NDArray[np.uint8]], Prediction]


@dataclass(frozen=True)
class Look:
    """One way to see the whole picture.

    Attributes:
        tops: First row of each tile.
        lefts: First column of each tile.
        height: Rows of a tile.
        width: Columns of a tile.
        mirrored: Whether the tiles are shown to the network mirrored.
    """

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int
    mirrored: bool

    @functools.cached_property
    def total(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the weights of all tiles sum up to, for each row and each column."""
        return _total(self.tops, self.height), _total(self.lefts, self.width)


def looks(
    height: int, width: int, tile: tuple[int, int] | None = None, tta: bool = False
) -> list[Look]:
    """Plan how a picture is seen.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        tile: Rows and columns of a tile; the whole picture if left out.
        tta: Add mirror images, and tiles that are smaller by `SCALES`.
    """
    found = []
    for scale in SCALES if tta else (1.0,):
        rows, columns = tile or (height, width)
        rows = min(height, max(1, round(rows / scale)))
        columns = min(width, max(1, round(columns / scale)))
        tops, lefts = starts(height, rows), starts(width, columns)
        for mirrored in (False, True) if tta else (False,):
            found.append(Look(tops, lefts, rows, columns, mirrored))
    return found


def starts(length: int, size: int) -> tuple[int, ...]:
    """Return where tiles of one size begin that cover a length, evenly spaced."""
    if size >= length:
        return (0,)
    steps = math.ceil((length - size) / max(1, size * (1 - OVERLAP)))
    return tuple(round(index * (length - size) / steps) for index in range(steps + 1))


class Blended(Scores):
    """The mean of several looks at a picture, in probabilities.

    In a look, tiles blend with weights that fall linearly from a tile's middle to its borders. The
    network runs when a part of the picture is asked for; of a very large picture, the logits of
    one row of tiles after another are kept, so that each new question runs it again.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], predict: Predict, channels: int, looks: list[Look]
    ) -> None:
        """Prepare.

        Args:
            pixels: uint8 `[height, width, channels]`.
            predict: Gives a picture's prediction.
            channels: Of a prediction.
            looks: From `looks`.
        """
        self.height, self.width = pixels.shape[:2]
        self.channels = channels
        self._pixels, self._predict, self._looks = pixels, predict, looks
        self._tiles: dict[tuple[int, int, int], Prediction] = {}

    def parts(self) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
        """Yield rows, columns and their probabilities; see `Scores.parts`."""
        for top in range(0, self.height, _BLOCK):
            rows = slice(top, min(top + _BLOCK, self.height))
            self._forget(top)
            for left in range(0, self.width, _BLOCK):
                columns = slice(left, min(left + _BLOCK, self.width))
                each = [self._look(index, rows, columns) for index in range(len(self._looks))]
                yield rows, columns, np.mean(each, axis=0)

    def _look(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        look = self._looks[index]
        size = rows.stop - rows.start, columns.stop - columns.start
        blend = np.zeros((*size, self.channels), np.float32)
        for top, down in _covering(look.tops, look.height, rows):
            for left, across in _covering(look.lefts, look.width, columns):
                shares = self._tile(index, top, left).part(_moved(down, top), _moved(across, left))
                weight = np.outer(
                    _weights(look.height)[_moved(down, top)],
                    _weights(look.width)[_moved(across, left)],
                )
                inside = _moved(down, rows.start), _moved(across, columns.start)
                blend[inside] += weight[..., None] * shares
        vertical, horizontal = look.total
        total = np.outer(vertical[rows], horizontal[columns])
        return np.asarray(blend / total[..., None])

    def _tile(self, index: int, top: int, left: int) -> Prediction:
        key = index, top, left
        if key not in self._tiles:
            look = self._looks[index]
            tile = self._pixels[top : top + look.height, left : left + look.width]
            if look.mirrored:
                tile = tile[:, ::-1]
            found = self._predict(np.ascontiguousarray(tile))
            if look.mirrored:
                logits = np.ascontiguousarray(found.logits[:, ::-1])
                found = Prediction(logits, found.height, found.width)
            self._tiles[key] = found
        return self._tiles[key]

    def _forget(self, top: int) -> None:
        """Drop tiles that end above a row, where all together take too much memory."""
        if sum(each.logits.nbytes for each in self._tiles.values()) <= _KEPT:
            return
        above = [key for key in self._tiles if key[1] + self._looks[key[0]].height <= top]
        for key in above:
            del self._tiles[key]


def _covering(starts: tuple[int, ...], size: int, part: slice) -> Iterator[tuple[int, slice]]:
    """Yield the tiles that meet a part of an axis, and what they have in common with it."""
    for start in starts:
        common = slice(max(start, part.start), min(start + size, part.stop))
        if common.start < common.stop:
            yield start, common


def _moved(part: slice, origin: int) -> slice:
    return slice(part.start - origin, part.stop - origin)


@functools.lru_cache(maxsize=16)
def _weights(size: int) -> NDArray[np.float32]:
    """Return what each pixel of a tile counts along an axis: most in the middle."""
    return np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)


def _total(starts: tuple[int, ...], size: int) -> NDArray[np.float32]:
    total = np.zeros(starts[-1] + size, np.float32)
    for start in starts:
        total[start : start + size] += _weights(size)
    return total

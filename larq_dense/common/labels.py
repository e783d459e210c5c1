"""From a network's logits to labels and probabilities, at a picture's own size.

A network with one output channel tells an object from its background; one with several gives
each class a channel. Nothing else decides how logits are read: predictor, evaluation and a
training's validation go through here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.common.images import Preprocessing, resize

Box = tuple[float, float, float, float]

UNSURE = 255
"""Marks a pixel where no class of a segmentation reaches the threshold that was asked for."""

# Pixels on a side of what is decided at one time. Where a picture is much larger than the logits,
# most small tiles hold one class and need no more than a look at the logits.
_TILE, _SMALL_TILE = 512, 128
_MUCH_LARGER = 4


def resize_scores(
    scores: NDArray[Any], height: int, width: int, box: Box | None = None
) -> NDArray[np.float32]:
    """Bring logits or probabilities to another size, bilinearly (antialiased where it shrinks).

    Args:
        scores: `[h, w, channels]`.
        height: Rows of the result.
        width: Columns of the result.
        box: The part to resize, as left, top, right, bottom in pixels of `scores`; all if left
            out. Pixels outside it still count at its border, so that parts fit together.

    Returns:
        float32 `[height, width, channels]`.
    """
    scores = np.asarray(scores, np.float32)
    if box is None and scores.shape[:2] == (height, width):
        return scores
    return np.stack(_resized_planes(scores, height, width, box), axis=-1)


def _resized_planes(
    scores: NDArray[np.float32], height: int, width: int, box: Box | None
) -> list[NDArray[np.float32]]:
    planes = (Image.fromarray(np.ascontiguousarray(each)) for each in np.moveaxis(scores, -1, 0))
    return [np.asarray(resize(plane, height, width, box)) for plane in planes]


def probabilities(logits: NDArray[Any], axis: int = -1) -> NDArray[np.float32]:
    """Turn logits into probabilities.

    Args:
        logits: Real numbers, such as `[..., channels]`.
        axis: That of the channels.

    Returns:
        float32 of the same shape, 0…1: the softmax over several channels, the sigmoid of one.
    """
    scores = np.asarray(logits, np.float32)
    if scores.shape[axis] == 1:
        # Of exp's two forms, the one that cannot overflow.
        small = np.exp(-np.abs(scores))
        result: NDArray[np.float32] = np.where(scores >= 0, 1 / (1 + small), small / (1 + small))
        return result
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    result = exponentials / exponentials.sum(axis=axis, keepdims=True)
    return result


def label_map(scores: NDArray[Any], threshold: float = 0.0) -> NDArray[np.uint8]:
    """Decide the class of each pixel.

    Args:
        scores: Logits or probabilities, real numbers `[..., channels]`.
        threshold: From where on one channel means the object: 0 for logits, 0.5 for
            probabilities. Several channels need none.

    Returns:
        uint8 `[...]`: the class of the highest score, the first of equal ones; of one channel 1
        where the score reaches the threshold.
    """
    scores = np.asarray(scores)
    if scores.shape[-1] == 1:
        return (scores[..., 0] >= threshold).astype(np.uint8)
    return scores.argmax(axis=-1).astype(np.uint8)


class Scores(ABC):
    """What a network says of each pixel of one picture, at the picture's size.

    Attributes:
        height: Rows of the picture.
        width: Columns of the picture.
        channels: One for an object before its background, else one for each class.
    """

    height: int
    width: int
    channels: int

    @abstractmethod
    def parts(self) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
        """Yield rows, columns and their probabilities `[rows, columns, channels]`, part by part."""

    @property
    def is_object(self) -> bool:
        """Whether one channel tells an object (class 1) from its background (class 0)."""
        return self.channels == 1

    def labels(self, threshold: float | None = None) -> NDArray[np.uint8]:
        """Decide the class of each pixel.

        Args:
            threshold: Probability that a label needs, 0…1. Saliency: of the object, a half if
                left out. Segmentation: of the most probable class, none if left out; pixels
                below it become `UNSURE`.

        Returns:
            uint8 `[height, width]`.

        Raises:
            DataError: The threshold is not between 0 and 1.
        """
        check_threshold(threshold)
        labels = np.empty((self.height, self.width), np.uint8)
        for rows, columns, shares in self.parts():
            found = label_map(shares, 0.5 if threshold is None else threshold)
            if threshold is not None and not self.is_object:
                found[shares.max(axis=-1) < threshold] = UNSURE
            labels[rows, columns] = found
        return labels

    def probabilities(self) -> NDArray[np.float32]:
        """Return all probabilities.

        Returns:
            float32 `[height, width, classes]`, summing to 1 over the classes; for saliency
            `[height, width, 1]`, the probability of the object.
        """
        result = np.empty((self.height, self.width, self.channels), np.float32)
        for rows, columns, shares in self.parts():
            result[rows, columns] = shares
        return result

    def probability(self, index: int) -> NDArray[np.float32]:
        """Return the probability of one class, float32 `[height, width]`."""
        result = np.empty((self.height, self.width), np.float32)
        for rows, columns, shares in self.parts():
            if self.is_object:
                result[rows, columns] = shares[..., 0] if index else 1 - shares[..., 0]
            else:
                result[rows, columns] = shares[..., index]
        return result

    def summary(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return the mean and the largest probability of each class, `[classes]` both."""
        total, largest = np.zeros(()), np.zeros((), np.float32)
        for _, _, shares in self.parts():
            shares = _of_classes(shares)
            total = total + shares.sum(axis=(0, 1), dtype=np.float64)
            largest = np.maximum(largest, shares.max(axis=(0, 1)))
        return total / (self.height * self.width), largest


def _of_classes(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([1 - shares, shares], axis=-1) if shares.shape[-1] == 1 else shares


def check_threshold(threshold: float | None) -> None:
    """Raise DataError unless a threshold, if there is one, lies between 0 and 1."""
    if threshold is not None and not 0 < threshold < 1:
        raise DataError(f"a threshold lies between 0 and 1; {threshold} does not.")


@dataclass(frozen=True)
class Prediction(Scores):
    """A network's logits for one picture, and what follows from them at the picture's size.

    The logits are resized bilinearly, part by part, and only then become labels or
    probabilities, so that a large picture needs little memory beyond the result.

    Attributes:
        logits: float32 `[h, w, channels]` at the network's own size.
        height: Rows of the picture.
        width: Columns of the picture.

    Examples:
        >>> prediction = Prediction(np.zeros((8, 8, 3), np.float32), height=30, width=40)
        >>> prediction.labels().shape, prediction.probability(2).shape
        ((30, 40), (30, 40))
    """

    logits: NDArray[np.float32]
    height: int
    width: int

    @classmethod
    def of_input(
        cls, logits: NDArray[Any], preprocessing: Preprocessing, height: int, width: int
    ) -> "Prediction":
        """Take a network's whole output, of which a letterboxed picture fills a part.

        Args:
            logits: `[h, w, channels]`.
            preprocessing: How the picture became the network's input.
            height: Rows of the picture.
            width: Columns of the picture.
        """
        logits = np.asarray(logits, np.float32)
        if preprocessing.fit == "letterbox":
            rows, columns = preprocessing.content(height, width)
            at_input = resize_scores(logits, preprocessing.height, preprocessing.width)
            logits = at_input[rows, columns]
        return cls(logits, height, width)

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Of the logits: 1 for an object, else one for each class."""
        return int(self.logits.shape[-1])

    def labels(self, threshold: float | None = None) -> NDArray[np.uint8]:
        """Decide the class of each pixel; see `Scores.labels`."""
        check_threshold(threshold)
        if not self.is_object and threshold is not None:
            return super().labels(threshold)
        labels = np.empty((self.height, self.width), np.uint8)
        bias = np.float32(_logit(0.5 if threshold is None else threshold))
        channels = np.ascontiguousarray(np.moveaxis(self.logits, -1, 0), np.float32)
        if self.is_object:
            # What the object competes with.
            channels = np.stack([np.full_like(channels[0], bias), channels[0]])
        planes = [Image.fromarray(each) for each in channels]
        for rows, columns in self._tiles():
            window = self._support(rows, columns)
            kept = _contenders(channels[:, window[0], window[1]])
            labels[rows, columns] = kept[0]
            if len(kept) > 1:
                box, (height, width) = self._box(rows, columns), labels[rows, columns].shape
                scores = {
                    each: np.asarray(resize(planes[each], height, width, box)) for each in kept
                }
                labels[rows, columns] = _best(scores, self.is_object)
        return labels

    def summary(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return each class's mean and largest probability at the network's own resolution."""
        shares = _of_classes(probabilities(self.logits))
        return shares.mean(axis=(0, 1), dtype=np.float64), shares.max(axis=(0, 1))

    def parts(self) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
        """Yield rows of the picture, over all its columns, and their probabilities."""
        count = max(1, _TILE * _SMALL_TILE // self.width)
        columns = slice(0, self.width)
        for top in range(0, self.height, count):
            rows = slice(top, min(top + count, self.height))
            yield rows, columns, self.part(rows, columns)

    def part(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the probabilities in a part of the picture, `[rows, columns, channels]`."""
        size = rows.stop - rows.start, columns.stop - columns.start
        # Only what has a weight there: all logits would be copied for each of many parts.
        down, across = self._support(rows, columns)
        left, top, right, bottom = self._box(rows, columns)
        y, x = down.start, across.start
        box = left - x, top - y, right - x, bottom - y
        # Channels first, for the last axis is a slow one to sum over where it is short.
        planes = np.stack(_resized_planes(self.logits[down, across], *size, box))
        return np.moveaxis(probabilities(planes, axis=0), 0, -1)

    def _tiles(self) -> Iterator[tuple[slice, slice]]:
        large = self.height >= _MUCH_LARGER * self.logits.shape[0]
        side = _SMALL_TILE if large else _TILE
        down = _whole(side, self.height, self.logits.shape[0])
        across = _whole(side, self.width, self.logits.shape[1])
        for top in range(0, self.height, down):
            rows = slice(top, min(top + down, self.height))
            for left in range(0, self.width, across):
                yield rows, slice(left, min(left + across, self.width))

    def _box(self, rows: slice, columns: slice) -> Box:
        """Return a part of the picture in pixels of the logits."""
        down = self.logits.shape[0] / self.height
        across = self.logits.shape[1] / self.width
        return columns.start * across, rows.start * down, columns.stop * across, rows.stop * down

    def _support(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Return the logits that have a weight in a part of the picture, or a few more."""
        left, top, right, bottom = self._box(rows, columns)
        down = 1 + int(np.ceil(self.logits.shape[0] / self.height))
        across = 1 + int(np.ceil(self.logits.shape[1] / self.width))
        return (
            slice(max(0, int(top) - down), int(np.ceil(bottom)) + down),
            slice(max(0, int(left) - across), int(np.ceil(right)) + across),
        )


def _whole(side: int, length: int, source: int) -> int:
    """Return a tile's side, near the one wanted, whose borders lie on whole pixels of the logits.

    Pillow takes a part's borders in float32: between pixels they would be rounded, and some labels
    would differ from those of the picture resized in one piece. Where a large picture's side has
    too little in common with the logits', a tile that takes little memory comes first.

    Args:
        side: The side that is wanted.
        length: The picture's side.
        source: The logits' side.
    """
    period = length // math.gcd(length, source)
    return period * max(1, side // period) if period <= 2 * _TILE else side


def _logit(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)


def _contenders(window: NDArray[np.float32]) -> list[int]:
    """Return the classes that may win somewhere between the logits `[channels, h, w]`.

    Between pixels logits are weighted means, with weights of at least 0: a class that lies below
    another one at all of them lies below it everywhere.
    """
    strong = int(window.sum(axis=(1, 2)).argmax())
    lead = (window - window[strong]).max(axis=(1, 2))
    return [int(each) for each in np.flatnonzero(lead >= 0)]


def _best(scores: dict[int, NDArray[np.float32]], ties_go_up: bool) -> NDArray[np.uint8]:
    """Return the class of the highest score; among equals the first, or the last."""
    (first, highest), *others = scores.items()
    best, labels = highest.copy(), np.full(highest.shape, first, np.uint8)
    for index, plane in others:
        better = plane >= best if ties_go_up else plane > best
        np.copyto(labels, np.uint8(index), where=better)
        np.maximum(best, plane, out=best)
    return labels

"""Constants on the logits of classes, chosen for the metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.keras2 import tf
from larq_dense.tasks.metrics import SegmentationMetrics

if TYPE_CHECKING:
    from larq_dense.training.pictures import Picture

PIXEL_STRIDE = 4
STEPS = (1.0, 0.5, 0.25, 0.125)


class ClassOffsets:
    """Adds to a network's last bias what gives its training pictures the best mean IoU.

    Cross-entropy asks for the pixels' true probabilities, and with weighted classes for those of a
    world where rare classes are frequent. The mean IoU of the most probable class asks for neither.
    Constants on the logits make up the difference, as in logit adjustment (Menon et al., arXiv
    2007.07314). Not from the paper: they are searched for the metric, not computed from
    frequencies.
    """

    def __init__(
        self,
        bias: tf.Variable,
        infer: Callable[[Picture], NDArray[np.float32]],
        pictures: Sequence[Picture],
    ) -> None:
        """Prepare.

        Args:
            bias: Of the layer that gives the logits, float32 `[classes]`, or as often as it gives
                neighbouring pixels' logits at one position.
            infer: Gives a picture's logits, `[height, width, classes]` at its label's size.
            pictures: What the constants are chosen on.
        """
        self._bias, self._infer, self._pictures = bias, infer, pictures

    def __call__(self) -> None:
        """Choose the constants for the weights as they are, and add them."""
        scores, labels = zip(*map(self._labelled_pixels, self._pictures), strict=True)
        offsets = best_offsets(np.concatenate(scores), np.concatenate(labels))
        self._bias.assign_add(np.tile(offsets, self._bias.shape[0] // len(offsets)))

    def _labelled_pixels(self, picture: Picture) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        # All pixels of hundreds of pictures would take gigabytes, and neighbours are alike.
        grid = (slice(None, None, PIXEL_STRIDE),) * 2
        scores, labels = self._infer(picture)[grid], picture.label[grid]
        counts = labels < scores.shape[-1]
        return scores[counts], labels[counts]


def best_offsets(scores: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Search, one class at a time, for the constants that give the best mean IoU.

    A class that no label shows is left out: its pixels are decided among the others, so that
    nothing is gained by suppressing it, and its constant is the mean of theirs.

    Args:
        scores: float32 `[pixels, classes]`.
        labels: uint8 `[pixels]`, class ids.

    Returns:
        float32 `[classes]`, to be added to the scores.
    """
    shown, among = np.unique(labels, return_inverse=True)
    found = np.zeros(scores.shape[1], np.float32)
    if not labels.size:
        return found
    offsets = _search(scores[:, shown].copy(), among.reshape(labels.shape).astype(np.uint8))
    if len(shown) < len(found):
        offsets -= offsets.mean()
    found[shown] = offsets
    return found


def _search(scores: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    offsets = np.zeros(scores.shape[1], np.float32)
    best = mean_iou(scores, labels)
    for change in (sign * step for step in STEPS for sign in (-1, 1)):
        for index in range(len(offsets)):
            column = scores[:, index]
            column += change
            while (value := mean_iou(scores, labels)) > best:
                best = value
                offsets[index] += change
                column += change
            column -= change
    return offsets


def mean_iou(scores: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Return the mean IoU, over the classes seen, of the highest scores; 0 without a pixel."""
    if not labels.size:
        return 0.0
    metrics = SegmentationMetrics(("",) * scores.shape[1])
    metrics.update(scores.argmax(axis=1).astype(np.uint8), labels)
    return float(np.nanmean(metrics.iou()))

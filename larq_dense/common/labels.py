"""From a network's logits to probabilities and label maps.

A network with one output channel tells an object from its background; one with several gives
each class a channel. Nothing else decides how logits are read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def probabilities(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Turn logits into probabilities.

    Args:
        logits: Real numbers `[..., channels]`.

    Returns:
        float32 of the same shape, 0…1: the softmax over several channels, the sigmoid of one.
    """
    scores = np.asarray(logits, np.float32)
    if scores.shape[-1] == 1:
        # Of exp's two forms, the one that cannot overflow.
        small = np.exp(-np.abs(scores))
        result: NDArray[np.float32] = np.where(scores >= 0, 1 / (1 + small), small / (1 + small))
        return result
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result = exponentials / exponentials.sum(axis=-1, keepdims=True)
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

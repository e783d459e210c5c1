"""Whether the binary attention chooses: a mask that is all open, or all shut, does nothing.

Of every attention and part: one map for each picture, its share of open gates p, and the entropy
of a gate that is open with probability p, `-p log2 p - (1 - p) log2 (1 - p)`: 1 bit where half of
the gates are open, 0 where the map is uniform.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.keras2 import tf
from larq_dense.experiments.verdict import Verdict
from larq_dense.layers import BinaryAttention

# Written down before the figures were seen: a map with at most 2 % of its gates on one side is
# uniform; a tenth of such maps is no harm, with half of them the attention is idle.
UNIFORM = 0.02
FEW, MANY = 0.1, 0.5


@dataclass(frozen=True)
class MaskUse:
    """How one part of one attention is used.

    Attributes:
        layer: The attention's name.
        part: `"spatial"` or `"channel"`.
        open: Mean share of open gates, 0…1.
        uniform: Share of maps that are near all-open or all-shut, 0…1.
        entropy: Mean over the maps, in bits, 0…1.
    """

    layer: str
    part: str
    open: float
    uniform: float
    entropy: float


def mask_use(model: tf.keras.Model, pictures: Sequence[NDArray[np.float32]]) -> list[MaskUse]:
    """Measure every binary attention of a network.

    Args:
        model: A binary network.
        pictures: At least one, each normalized float32 `[1, height, width, 3]`.

    Returns:
        One for each attention and part; none for a network without binary attention.
    """
    layers = [
        layer
        for layer in model.layers
        if isinstance(layer, BinaryAttention) and layer.precision == "binary"
    ]
    if not layers:
        return []
    network = tf.keras.Model(model.inputs, {layer.name: layer.input for layer in layers})
    shares: dict[tuple[str, str], list[float]] = {}
    for picture in pictures:
        branches = network(picture)
        for layer in layers:
            for part, mask in layer.masks(branches[layer.name], training=False).items():
                shares.setdefault((layer.name, part), []).append(float(np.mean(mask)))
    return [_use(layer, part, np.array(open_)) for (layer, part), open_ in shares.items()]


def verdict(parts: Sequence[MaskUse]) -> Verdict:
    """Judge by the share of uniform maps, over all of at least one part alike."""
    uniform = np.mean([part.uniform for part in parts])
    if uniform <= FEW:
        return "supported"
    return "refuted" if uniform >= MANY else "unclear"


def _use(layer: str, part: str, share: NDArray[np.float64]) -> MaskUse:
    uniform = np.minimum(share, 1 - share) <= UNIFORM
    sides = np.clip(np.stack([share, 1 - share]), 1e-12, 1)
    entropy = -(sides * np.log2(sides)).sum(axis=0)
    return MaskUse(layer, part, float(share.mean()), float(uniform.mean()), float(entropy.mean()))

"""Beginning with another model's weights where layers match."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import larq_dense  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

# isort: split
import tensorflow as tf

from larq_dense.common.errors import WeightsError
from larq_dense.models import weights

if TYPE_CHECKING:
    from larq_dense.zoo import Entry

BEST = "best.safetensors"


def initialize(model: tf.keras.Model, source: str) -> str:
    """Load the weights whose name and shape match.

    Args:
        model: The network.
        source: A weights file, a zoo entry's name, or the folder of an entry or a run.

    Returns:
        A sentence that says how many matched.

    Raises:
        WeightsError: The file is missing or damaged, or nothing in it matches.
        UnknownNameError: There is no such entry.
    """
    path = Path(source)
    if not path.is_file():
        _, path = find_trained(source)
    report = weights.load_weights(model, path, strict=False)
    if not report.loaded:
        raise WeightsError(
            f"nothing in the weights {source} fits the recipe's model; name weights of a model "
            "with the same encoder."
        )
    count = len(report.loaded) + len(report.missing)
    return f"begins with {len(report.loaded)} of {count} variables from {source}"


def find_trained(source: str) -> tuple[Entry, Path]:
    """Find a trained network: where its recipe is, and its weights.

    Args:
        source: A zoo entry's name, or the folder of an entry or a run.

    Raises:
        WeightsError: It has no weights, or an entry's are damaged.
        UnknownNameError: There is no such entry or folder.
    """
    # The zoo reads recipes, so it stands above this package.
    from larq_dense import zoo

    entry = zoo.find(source)
    best = entry.folder / BEST
    if best.is_file():
        return entry, best
    if not entry.is_published:
        raise WeightsError(f"{source} has no weights yet; train on until its first validation.")
    return entry, entry.weights()

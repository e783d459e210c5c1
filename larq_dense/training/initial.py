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
    path = find_weights(source)
    report = weights.load_weights(model, path, strict=False)
    if not report.loaded:
        raise WeightsError(
            f"nothing in the weights {source} fits the recipe's model; name weights of a model "
            "with the same encoder."
        )
    count = len(report.loaded) + len(report.missing)
    return f"begins with {len(report.loaded)} of {count} variables from {source}"


def find_weights(source: str) -> Path:
    """Find the weights that a training may begin with; see `initialize`."""
    path = Path(source)
    return path if path.is_file() else find_trained(source)[1]


def find_trained(source: str) -> tuple[Entry, Path]:
    """Find a trained network: where its recipe is, and its weights.

    Args:
        source: A zoo entry's name, or the folder of an entry or a run.

    Raises:
        WeightsError: It has no weights, an entry's are damaged, or there is no such folder.
        UnknownNameError: There is no such entry.
    """
    # The zoo reads recipes, so it stands above this package.
    from larq_dense import zoo

    if "/" in source and not Path(source).exists():
        raise WeightsError(
            f"there is no run {source}; train it first (the card of the entry whose recipe names "
            "it has the command), or name another."
        )
    entry = zoo.find(source)
    best = entry.folder / BEST
    if best.is_file():
        return entry, best
    if not entry.is_published:
        raise WeightsError(f"{source} has no weights yet; train on until its first validation.")
    return entry, entry.weights()

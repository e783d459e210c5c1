"""Beginning with another model's weights where layers match."""

from __future__ import annotations

from pathlib import Path

import larq_dense  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

# isort: split
import tensorflow as tf

from larq_dense.common.errors import WeightsError
from larq_dense.models import weights


def initialize(model: tf.keras.Model, source: str) -> str:
    """Load the weights whose name and shape match.

    Args:
        model: The network.
        source: A weights file, or a zoo entry's name.

    Returns:
        A sentence that says how many matched.

    Raises:
        WeightsError: The file is missing or damaged, or nothing in it matches.
        UnknownNameError: There is no such entry.
    """
    path = Path(source)
    if not path.is_file():
        path = _entry_weights(source)
    report = weights.load_weights(model, path, strict=False)
    if not report.loaded:
        raise WeightsError(
            f"nothing in the weights {source} fits the recipe's model; name weights of a model "
            "with the same encoder."
        )
    count = len(report.loaded) + len(report.missing)
    return f"begins with {len(report.loaded)} of {count} variables from {source}"


def _entry_weights(name: str) -> Path:
    # The zoo reads recipes, so it stands above this package.
    from larq_dense import zoo

    return zoo.find(name).weights()

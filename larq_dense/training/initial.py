"""Beginning with another model's weights where layers match."""

from __future__ import annotations

from pathlib import Path

from larq_dense.common.errors import WeightsError
from larq_dense.common.keras2 import tf
from larq_dense.models import weights
from larq_dense.training.run import FindRun, find_run


def initialize(model: tf.keras.Model, source: str, find: FindRun = find_run) -> str:
    """Load the weights whose name and shape match.

    Args:
        model: The network.
        source: A weights file, or what `find` finds.
        find: Finds a run by its name.

    Returns:
        A sentence that says how many matched.

    Raises:
        WeightsError: The file is missing or damaged, or nothing in it matches.
    """
    path = find_weights(source, find)
    report = weights.load_weights(model, path, strict=False)
    if not report.loaded:
        raise WeightsError(
            f"nothing in the weights {source} fits the recipe's model; name weights of a model "
            "with the same encoder."
        )
    count = len(report.loaded) + len(report.missing)
    return f"begins with {len(report.loaded)} of {count} variables from {source}"


def find_weights(source: str, find: FindRun = find_run) -> Path:
    """Find the weights that a training may begin with; see `initialize`."""
    path = Path(source)
    return path if path.is_file() else find(source).weights()

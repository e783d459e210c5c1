"""What attention costs: computed once and binary, or for each branch in full precision."""

import statistics
from collections.abc import Sequence
from typing import Any

from larq_dense.common.keras2 import tf
from larq_dense.evaluation.complexity import Complexity, complexity
from larq_dense.layers._base import Precision
from larq_dense.models.decoder import attended_branches

BRANCHES = 3
STAGES: dict[str, tuple[Precision, bool]] = {
    "binary, once": ("binary", False),
    "float, per branch": ("float", True),
}
"""Precision of the stage, and whether each branch has an attention of its own."""


def stage(
    height: int, width: int, filters: int, precision: Precision, per_branch: bool, attention: str
) -> tf.keras.Model:
    """Return one decoder stage before its upsampling, with random weights.

    Args:
        height: Rows of its input.
        width: Columns of its input.
        filters: Channels of input and output.
        precision: Of all that it computes.
        per_branch: Whether each of the three branches has an attention of its own.
        attention: `"both"` parts, or `"none"`.
    """
    inputs = tf.keras.Input((height, width, filters))
    outputs = attended_branches(
        inputs,
        filters,
        "stage",
        branches=BRANCHES,
        attention=attention,
        precision=precision,
        attention_per_branch=per_branch,
    )
    return tf.keras.Model(inputs, outputs, name="stage")


def attention_complexity(model: tf.keras.Model) -> dict[str, Any]:
    """Return what the attention of a `stage` computes and stores, without the rest of it."""
    whole = complexity(model)
    rows = (layer for layer in whole.layers if layer.name.startswith("stage_attention"))
    return Complexity(whole.input_shape, tuple(rows)).totals()


def added_milliseconds(with_it: Sequence[float], without: Sequence[float]) -> float:
    """Return the median of what attention added in each turn.

    Args:
        with_it: Milliseconds of the stage, turn by turn.
        without: Milliseconds of the same stage without attention, in the same turns.
    """
    return statistics.median(a - b for a, b in zip(with_it, without, strict=True))

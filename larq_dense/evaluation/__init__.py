"""What a model is worth: its task's metrics, its complexity, its latency.

Latency is measured without TensorFlow too, so tasks and their metrics are imported when they are
first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from larq_dense.evaluation.complexity import Complexity, LayerComplexity, complexity

if TYPE_CHECKING:
    from larq_dense.evaluation.accuracy import Evaluation, Scored, evaluate, measure
    from larq_dense.evaluation.robustness import measure_robustness

__all__ = [
    "Complexity",
    "Evaluation",
    "LayerComplexity",
    "Scored",
    "complexity",
    "evaluate",
    "measure",
    "measure_robustness",
]

_MODULES = {"measure_robustness": "larq_dense.evaluation.robustness"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = _MODULES.get(name, "larq_dense.evaluation.accuracy")
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'larq_dense.evaluation' has no attribute {name!r}")

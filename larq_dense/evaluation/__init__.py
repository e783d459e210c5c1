"""What a model is worth: its task's metrics, its complexity, its latency."""

from larq_dense.evaluation.accuracy import Evaluation, Scored, evaluate, measure
from larq_dense.evaluation.complexity import Complexity, LayerComplexity, complexity

__all__ = [
    "Complexity",
    "Evaluation",
    "LayerComplexity",
    "Scored",
    "complexity",
    "evaluate",
    "measure",
]

"""Training: a recipe in, the best weights out.

What a run's folder holds is read without TensorFlow, which is imported when a training starts.
"""

import importlib
from typing import TYPE_CHECKING, Any

from larq_dense.common.extra import needs_extra
from larq_dense.training.run import Run

if TYPE_CHECKING:
    from larq_dense.training.loop import Interrupted, Result, train
    from larq_dense.training.recipe import Recipe

_HOMES = {"Interrupted": "loop", "Recipe": "recipe", "Result": "loop", "train": "loop"}

__all__ = ["Interrupted", "Recipe", "Result", "Run", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        with needs_extra(__name__):
            home = importlib.import_module(f"larq_dense.training.{_HOMES[name]}")
        return getattr(home, name)
    raise AttributeError(f"module 'larq_dense.training' has no attribute {name!r}")

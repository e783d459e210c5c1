"""Training: a recipe in, the best weights out.

Reading a recipe needs no TensorFlow; it is imported when a training starts.
"""

import importlib
from typing import TYPE_CHECKING, Any

from larq_dense.training.recipe import Recipe

if TYPE_CHECKING:
    from larq_dense.training.loop import Interrupted, train

__all__ = ["Interrupted", "Recipe", "train"]


def __getattr__(name: str) -> Any:
    if name in ("Interrupted", "train"):
        return getattr(importlib.import_module("larq_dense.training.loop"), name)
    raise AttributeError(f"module 'larq_dense.training' has no attribute {name!r}")

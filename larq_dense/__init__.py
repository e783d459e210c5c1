"""Binary neural networks for dense prediction: a model zoo on Larq.

Importing this package is cheap: TensorFlow is imported when a submodule that needs it is first
used.
"""

import importlib
import os
import sys
from typing import Any

from larq_dense.version import __version__

_SUBMODULES = (
    "common",
    "layers",
    "models",
    "tasks",
    "training",
    "evaluation",
    "conversion",
    "runtime",
    "zoo",
    "cli",
)
_ATTRIBUTES = {"Predictor": "larq_dense.runtime"}

__all__ = ["Predictor", "__version__", *_SUBMODULES]


def _select_keras_2() -> None:
    """Make `tf.keras` mean Keras 2, which Larq needs.

    Raises:
        ImportError: TensorFlow was imported before and has bound `tf.keras` to Keras 3.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    legacy = os.environ["TF_USE_LEGACY_KERAS"].lower() in ("1", "true")
    # `tf.keras` is resolved lazily, so a program that imported TensorFlow but never touched
    # Keras is still fine.
    tensorflow = sys.modules.get("tensorflow")
    keras = getattr(tensorflow, "keras", None) if tensorflow else None
    version = getattr(keras, "__version__", "2") if keras is not None else "2"
    if not legacy or not str(version).startswith("2"):
        raise ImportError(
            "larq_dense needs Keras 2, but TensorFlow already uses Keras 3: import larq_dense "
            "before tensorflow, or set TF_USE_LEGACY_KERAS=1 in the environment."
        )


_select_keras_2()


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"larq_dense.{name}")
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    raise AttributeError(f"module 'larq_dense' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

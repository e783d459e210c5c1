"""Binary neural networks for dense prediction: a model zoo on Larq.

Importing this package is cheap: TensorFlow is imported, with Keras 2, when a submodule that needs
it is first used. Running converted files needs no TensorFlow; what needs it comes with the extra
`[tensorflow]`.
"""

import importlib
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
    "quantization",
    "runtime",
    "latency",
    "experiments",
    "publishing",
    "serving",
    "zoo",
    "cli",
)
_ATTRIBUTES = {"Predictor": "larq_dense.runtime", "load": "larq_dense.zoo.opening"}

__all__ = ["Predictor", "load", "__version__", *_SUBMODULES]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"larq_dense.{name}")
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    raise AttributeError(f"module 'larq_dense' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""Binary neural networks for dense prediction: a model zoo on Larq.

Importing this package is cheap: TensorFlow is imported when a submodule that needs it is first
used. Running converted files needs no TensorFlow; what needs it comes with the extra
`[tensorflow]`.
"""

import importlib
import os
import sys
from typing import Any

from larq_dense.common.extra import Gate
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
    "zoo",
    "cli",
)
_ATTRIBUTES = {"Predictor": "larq_dense.runtime"}

__all__ = ["Predictor", "__version__", *_SUBMODULES]


def _prepare_tensorflow() -> None:
    """Make `tf.keras` mean Keras 2, which Larq needs, and convolutions fast.

    Raises:
        ImportError: TensorFlow was imported before and took Keras 3, or the environment asks for
            it.
    """
    tensorflow = sys.modules.get("tensorflow")
    version = getattr(tensorflow, "__version__", "0.0").split(".")
    # TensorFlow decides once, at its own import; up to 2.15 it knows no other Keras.
    if tensorflow is None or (int(version[0]), int(version[1])) < (2, 16):
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        # By itself TensorFlow takes oneDNN only where the processor has AVX-512, but training is
        # faster with it on AVX2, too (benchmarks/train_step.py).
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if os.environ.get("TF_USE_LEGACY_KERAS") not in ("1", "true", "True"):
        raise ImportError(
            "larq_dense needs Keras 2, but TensorFlow uses Keras 3 here: import larq_dense before "
            "tensorflow, or set TF_USE_LEGACY_KERAS=1 in the environment before both."
        )


_prepare_tensorflow()
sys.meta_path.insert(0, Gate)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"larq_dense.{name}")
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    raise AttributeError(f"module 'larq_dense' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

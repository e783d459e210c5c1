"""Running converted files, and predicting with them or with Keras models alike.

Needs NumPy, Pillow and LiteRT only; TensorFlow and Larq Compute Engine are imported when they are
what runs a model.
"""

from larq_dense.runtime.interpreter import (
    Interpreter,
    LceInterpreter,
    NativeInterpreter,
    XnorInterpreter,
    load,
)
from larq_dense.runtime.metadata import read_spec
from larq_dense.runtime.predictor import Predictor
from larq_dense.runtime.spec import ModelSpec, SpecClass

__all__ = [
    "Interpreter",
    "LceInterpreter",
    "ModelSpec",
    "NativeInterpreter",
    "Predictor",
    "SpecClass",
    "XnorInterpreter",
    "load",
    "read_spec",
]

"""The extra `[tensorflow]`: which parts of the package need it.

The base install runs converted files and nothing else. A part that needs more is refused before
it is imported, by whichever way it is asked for, with a sentence that says what to install.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

from larq_dense.common.errors import MissingExtraError

NEEDS = {
    "larq_dense.layers": ("tensorflow", "tf_keras", "larq"),
    "larq_dense.models": ("tensorflow", "tf_keras", "larq", "safetensors"),
    "larq_dense.tasks": ("pydantic", "yaml"),
    "larq_dense.training.recipe": ("pydantic", "yaml"),
    "larq_dense.training.settings": ("pydantic",),
    **{
        f"larq_dense.training.{name}": ("tensorflow", "tf_keras")
        for name in (
            *("augmentation", "average", "checkpoint", "data", "distillation", "distribution"),
            *("exclusive", "initial", "logs", "loop", "losses", "offsets", "recalibration"),
            *("session", "step", "validation"),
        )
    },
    "larq_dense.quantization": ("tensorflow", "tf_keras", "larq"),
    "larq_dense.conversion": ("tensorflow", "larq_compute_engine", "flatbuffers"),
    "larq_dense.experiments.attention_cost": ("tensorflow",),
    "larq_dense.experiments.attention_masks": ("tensorflow",),
    "larq_dense.experiments.branch_errors": ("tensorflow",),
    "larq_dense.experiments.parallelism": ("tensorflow",),
    "larq_dense.publishing": ("pydantic", "yaml", "matplotlib", "skimage"),
    "larq_dense.experiments.study": ("pydantic", "yaml"),
}
"""Part or module → what it imports beyond the base install, at once or soon after.

What only imports another of these needs no line of its own.
"""


def is_installed(name: str) -> bool:
    """Whether a module can be imported, told without importing it."""
    package = name.split(".", 1)[0]
    return package in sys.modules or importlib.util.find_spec(package) is not None


class Gate:
    """A finder that finds nothing: it turns away parts whose needs are not met.

    Before a part that uses TensorFlow it chooses Keras 2.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: ModuleType | None = None) -> None:
        """Let `name` pass to the finders that follow.

        Raises:
            MissingExtraError: It is a part of this package that needs what is not installed.
            ImportError: It needs Keras 2, but TensorFlow uses Keras 3 here.
        """
        for module in NEEDS.get(name, ()):
            if not is_installed(module):
                raise MissingExtraError(name, module)
        if "tensorflow" in NEEDS.get(name, ()):
            importlib.import_module("larq_dense.common.keras2")

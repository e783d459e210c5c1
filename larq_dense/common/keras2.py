"""TensorFlow with `tf.keras` meaning Keras 2 in this process, as Larq needs.

What uses TensorFlow in this package takes `tf` from here; `import larq_dense` alone does not.
TensorFlow decides once, at its own import, by an environment variable, and asks for it again
wherever it offers Keras under another name. So the variable stays set, and processes that this one
starts inherit it.
"""

import logging
import os
import sys

# TensorFlow 2.15 and older know no other Keras.
_VARIABLE = "TF_USE_LEGACY_KERAS"
_MEND = (
    f"use larq_dense's TensorFlow parts before that, or set {_VARIABLE}=1 before Python starts, "
    "or run them in a process of their own"
)


def _select() -> None:
    """Choose Keras 2, and fast convolutions.

    Raises:
        ImportError: `tf.keras` is Keras 3 already, or the environment asks for it.
    """
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        # Keras 2 names no version here.
        if getattr(tf.keras, "__version__", "2").startswith("3."):
            raise ImportError(
                f"larq_dense needs Keras 2, but TensorFlow was imported with Keras 3 here: {_MEND}."
            )
        return
    if os.environ.setdefault(_VARIABLE, "1") not in ("1", "true", "True"):
        raise ImportError(
            f"larq_dense needs Keras 2, but {_VARIABLE}={os.environ[_VARIABLE]} asks for Keras 3: "
            f"set it to 1, or leave it out."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # By itself TensorFlow takes oneDNN only where the processor has AVX-512, but training is
    # faster with it on AVX2, too (benchmarks/train_step.py).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" in sys.modules:
        logging.getLogger(__name__).warning(
            "larq_dense makes tf.keras Keras 2 in this process; `import keras` stays as it is."
        )


_select()
import tensorflow as tf  # noqa: E402  (Keras is chosen above)

__all__ = ["tf"]

"""TensorFlow without what it writes while it is imported."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Discard what C++ libraries write to standard error while the block runs.

    Importing TensorFlow 2.19 writes a dozen lines about GPUs that are not there, which no setting
    turns off. Errors are Python exceptions and reach the user all the same.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def import_tensorflow() -> None:
    """Import TensorFlow, with Keras 2, and let it look for devices, without what it writes."""
    with without_chatter():
        from larq_dense.common.keras2 import tf

        tf.config.list_physical_devices()

"""The extras: what the base install, which only runs converted files, lacks."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from larq_dense.common.errors import MissingExtraError


def is_installed(name: str) -> bool:
    """Whether a module can be imported, told without importing it."""
    package = name.split(".", 1)[0]
    return package in sys.modules or importlib.util.find_spec(package) is not None


@contextmanager
def needs_extra(part: str, extra: str = "tensorflow") -> Iterator[None]:
    """Say what to install where the block imports what is not installed.

    Args:
        part: What needs it, such as `__name__`.
        extra: The extra that brings it.

    Raises:
        MissingExtraError: A module of another package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = error.name or ""
        if module.split(".")[0] in ("", "larq_dense"):
            raise
        raise MissingExtraError(part, module, extra) from error


@contextmanager
def needs_tensorflow(part: str) -> Iterator[None]:
    """As `needs_extra`, for a block whose imports use TensorFlow: with Keras 2.

    Raises:
        MissingExtraError: As for `needs_extra`.
        ImportError: TensorFlow uses Keras 3 here.
    """
    with needs_extra(part):
        importlib.import_module("larq_dense.common.keras2")
        yield

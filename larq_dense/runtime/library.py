"""The native library: where it is, and what this processor can do with it."""

import ctypes
import functools
import os
import sys
from pathlib import Path

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.threads import check_threads

_ENDINGS = {"darwin": "dylib", "win32": "dll"}
_LIBRARY = f"liblarq_dense_xnor.{_ENDINGS.get(sys.platform, 'so')}"
_INSTRUCTION_SET = "LARQ_DENSE_XNOR_ISA"


def library_path() -> Path:
    """Return where the native library is or would be."""
    return Path(__file__).with_name(_LIBRARY)


@functools.cache
def why_no_library() -> str | None:
    """Say in a sentence why the native library cannot be loaded here; `None` where it can."""
    library = library_path()
    if not library.is_file():
        return (
            "the XNOR runtime's native library was not built; install a C++ compiler and reinstall "
            "larq-dense, or run `python native/build.py` in a checkout."
        )
    try:
        ctypes.CDLL(os.fspath(library))
    except OSError as error:
        return f"the XNOR runtime's native library cannot be loaded: {error}."
    return None


@functools.cache
def load_library() -> ctypes.CDLL:
    """Load the native library.

    Raises:
        LarqDenseError: It is not there, or not for this machine.
    """
    reason = why_no_library()
    if reason is not None:
        raise LarqDenseError(reason)
    native = ctypes.CDLL(os.fspath(library_path()))
    native.larq_dense_xnor_instruction_set.restype = ctypes.c_char_p
    native.larq_dense_xnor_instruction_set.argtypes = [ctypes.c_int]
    native.larq_dense_xnor_limit.restype = ctypes.c_uint64
    native.larq_dense_xnor_limit.argtypes = [
        ctypes.c_char_p,
        ctypes.c_uint64,
        ctypes.POINTER(ctypes.c_uint32),
    ]
    return native


def instruction_sets() -> list[str]:
    """Return the instruction sets that this processor and the library have, the fastest first.

    Raises:
        LarqDenseError: The library is not there.
    """
    native = load_library()
    names: list[str] = []
    while (name := native.larq_dense_xnor_instruction_set(len(names))) is not None:
        names.append(name.decode())
    return names


def chosen_instruction_set() -> str:
    """Return the instruction set that kernels take unless they are told otherwise.

    Raises:
        LarqDenseError: The library is not there.
    """
    return os.environ.get(_INSTRUCTION_SET) or instruction_sets()[0]


def check_options(num_threads: int, instruction_set: str | None) -> None:
    """Refuse a number of threads or an instruction set that is not to be had here.

    Args:
        num_threads: Threads of the computation.
        instruction_set: One of `instruction_sets()`, or `None` for the fastest. What the
            environment variable `LARQ_DENSE_XNOR_ISA` names is looked at, too.

    Raises:
        LarqDenseError: One of them is wrong, or the library is not there.
    """
    check_threads(num_threads)
    named = {
        "instruction_set": instruction_set,
        _INSTRUCTION_SET: os.environ.get(_INSTRUCTION_SET),
    }
    for source, name in named.items():
        if name and name not in instruction_sets():
            raise LarqDenseError(
                f"{source}={name} names no instruction set of this processor; it has "
                f"{', '.join(instruction_sets())}."
            )

"""The errors that a user can cause, each one sentence that names the culprit and the fix."""

import difflib
from collections.abc import Iterable

INSTALL_EXTRA = (
    "run `pip install '.[tensorflow]'` in larq-dense's checkout (Python 3.10 to 3.12, not on "
    "64-bit Arm Linux)"
)
"""The fix where something needs more than the base install."""


class LarqDenseError(Exception):
    """A user's mistake or a fault of the environment; the command line prints it and exits 1."""

    def __str__(self) -> str:
        """Return the sentence; bytes of file names that are no UTF-8 are escaped."""
        return printable(super().__str__())


def printable(text: str) -> str:
    """Return a text that can be written everywhere.

    Python keeps the bytes of a file name that are no UTF-8 as lone surrogates, which no stream
    takes.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class DataError(LarqDenseError):
    """A data set, an image or a mask is not what it should be."""


class RecipeError(LarqDenseError):
    """A recipe has a wrong or missing setting."""


class WeightsError(LarqDenseError):
    """A weight file is missing, corrupt or belongs to another model."""


class ConversionError(LarqDenseError):
    """A model cannot be converted, or the converted file failed its audit."""


class MissingExtraError(LarqDenseError, ImportError):
    """Something needs more than the base install; the message says what to install."""

    def __init__(self, user: str, module: str, extra: str = "tensorflow") -> None:
        """Build the sentence.

        Args:
            user: What needs it, such as `"larq_dense.models"`.
            module: The module that could not be imported.
            extra: The extra that brings it.
        """
        install = f"run `pip install '.[{extra}]'` in larq-dense's checkout"
        fix = INSTALL_EXTRA if extra == "tensorflow" else install
        super().__init__(f"{user} needs {module}, which is not installed; {fix}.")


def within_sentence(message: str) -> str:
    """Return what pydantic says of a wrong value, worded to fit within a sentence."""
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]


class UnknownNameError(LarqDenseError):
    """A name that is not in a list of known ones; the message offers the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Build the sentence.

        Args:
            kind: What the name should have been, such as `"zoo entry"`.
            name: The name as given.
            known: All names that would have been right.
        """
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        fix = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}."
        super().__init__(f"unknown {kind} {name!r}; {fix}")

"""Files that are never half-written, and their digests."""

import contextlib
import glob
import hashlib
import json
import os
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from larq_dense.common.errors import LarqDenseError, RecipeError

_UMASK = threading.Lock()

DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What `zipfile` raises for a damaged archive, by where the damage is."""


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file next to `path` for writing and rename it to `path` if the block succeeds.

    A pipe or a device, such as /dev/stdout, is written itself.

    Args:
        path: The file to write; its folder is made if missing.
        mode: `"wb"` or `"w"` (UTF-8).

    Yields:
        The open file.

    Raises:
        LarqDenseError: The folder is not writable or the disk is full.
    """
    path = Path(path)
    temporary = None
    encoding = None if "b" in mode else "utf-8"
    try:
        if is_special(path):
            with path.open(mode, encoding=encoding) as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
        with os.fdopen(descriptor, mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; an ordinary file follows the user's umask.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise LarqDenseError(
            f"cannot write {path}: {reason}; choose another place or make room."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    # Shortened: with what is appended, a long name would be too long.
    return os.fsdecode(b"." + os.fsencode(path.name)[:200] + b".")


def _umask() -> int:
    # It can only be read by setting it, which two threads must not do at one time.
    with _UMASK:
        umask = os.umask(0)
        os.umask(umask)
    return umask


def prepare_folder(folder: Path) -> None:
    """Make a folder and try to write in it, before hours of work are spent on what goes there.

    Raises:
        LarqDenseError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LarqDenseError(
            f"cannot write in {folder}: {error.strerror}; choose another folder."
        ) from error


def remove_unfinished(path: str | Path) -> None:
    """Remove the unfinished files next to `path` that killed processes left."""
    path = Path(path)
    for temporary in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_write(path) as file:
        file.write(content)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` in UTF-8 atomically."""
    with atomic_write(path, "w") as file:
        file.write(text)


def read_json(path: Path, kind: type, fix: str) -> Any:
    """Return what a JSON file holds, a `dict` or a `list`; `None` where there is none.

    Raises:
        LarqDenseError: It is damaged; the sentence ends with the fix.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, kind):
            raise TypeError(f"it holds a {type(found).__name__}")
    except (TypeError, ValueError, RecursionError) as error:
        raise LarqDenseError(f"{path} is damaged ({error}); {fix}.") from error
    return found


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` as indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_yaml(path: str | Path, title: str) -> Any:
    """Read a file of settings.

    Args:
        path: The file.
        title: What it is, for the message, such as `"the recipe"`.

    Returns:
        What the YAML holds, unchecked.

    Raises:
        RecipeError: The file is missing, no text or no YAML.
    """
    # The base install goes without.
    import yaml

    from larq_dense.common.yaml_text import parse_yaml

    try:
        return parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8; save it as such"
        raise RecipeError(f"cannot read {title} {path}: {reason}.") from error
    except RecursionError as error:
        raise RecipeError(f"{title} {path} is nested too deeply; write it again.") from error
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date that there is not
        problem = " ".join(str(error).split())
        raise RecipeError(f"{title} {path} is not valid YAML: {problem}.") from error


def is_special(path: Path) -> bool:
    """Return whether a path is a pipe, socket or device, for which a reader may wait."""
    return path.exists() and not path.is_file() and not path.is_dir()

"""Reads what `larq-dense convert` wrote next to the graph of a `.tflite` file.

The file holds a FlatBuffer and, behind it, a ZIP archive (TFLite's convention for label files).
The description is JSON among the FlatBuffer's metadata; the archive holds the labels and the
SHA-256 of the FlatBuffer, because LCE's interpreter crashes on damaged files.
"""

import io
import json
import zipfile
from pathlib import Path

from larq_dense.common.errors import DataError
from larq_dense.common.files import DAMAGED_ZIP, sha256
from larq_dense.runtime.spec import ModelSpec
from larq_dense.runtime.tflite_file import IDENTIFIER, DamagedFileError, TfliteFile

METADATA_NAME = "larq_dense"
LABELS_FILE = "labels.txt"
DIGEST_FILE = "flatbuffer.sha256"


def read_file(model: str | Path | bytes) -> tuple[bytes, str]:
    """Return a model file's bytes and what to call it in a message.

    Raises:
        DataError: The file is missing or cannot be read.
    """
    if isinstance(model, bytes):
        return model, "the model"
    try:
        return Path(model).read_bytes(), str(model)
    except FileNotFoundError as error:
        raise DataError(f"no such model file: {model}.") from error
    except OSError as error:
        raise DataError(f"cannot read the model {model}: {error.strerror}.") from error


def parse(content: bytes, label: str = "the model") -> TfliteFile:
    """Read a model file's structure and check that it is whole.

    Args:
        content: The file.
        label: What to call it in a message.

    Raises:
        DataError: It is no TFLite file, or a cut or damaged one.
    """
    if content[4:8] != IDENTIFIER:
        raise DataError(f"{label} is not a TFLite model; make one by `larq-dense convert`.")
    damaged = f"{label} is truncated or damaged; copy it again or convert it again."
    try:
        file = TfliteFile.parse(content)
    except DamagedFileError as error:
        raise DataError(damaged) from error
    if METADATA_NAME in file.metadata and not _digest_matches(content):
        raise DataError(damaged)
    return file


def read_spec(model: str | Path | bytes) -> ModelSpec | None:
    """Return the description in a converted file, or None if it has none by larq_dense.

    Args:
        model: A `.tflite` file or its bytes.

    Returns:
        The description.

    Raises:
        DataError: The file is missing, no TFLite file, or damaged.

    Examples:
        >>> from larq_dense.runtime import read_spec
        >>> read_spec("ecssd.tflite").class_names
        ['background', 'object']
    """
    content, label = read_file(model)
    return spec_of(parse(content, label))


def spec_of(file: TfliteFile) -> ModelSpec | None:
    """Return the description among a parsed file's metadata, or None.

    Raises:
        DataError: The description is incomplete.
    """
    if METADATA_NAME not in file.metadata:
        return None
    try:
        values = json.loads(file.metadata[METADATA_NAME])
    except (ValueError, RecursionError) as error:
        raise DataError(f"a model's description is not JSON: {error}.") from error
    return ModelSpec.from_dict(values)


def _digest_matches(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            length, expected = archive.read(DIGEST_FILE).decode().split()
            return sha256(content[: int(length)]) == expected
    except (*DAMAGED_ZIP, KeyError, ValueError):
        return False

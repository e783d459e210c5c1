"""Weights on disk: safetensors, binary kernels at one bit each, nothing that needs unpickling."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from larq_dense.common.errors import WeightsError
from larq_dense.common.files import sha256, write_bytes
from larq_dense.models.inspect import binary_kernels

FORMAT = "larq_dense-1"

# A packed kernel keeps only signs. Its latent values come back small, since the gradient of
# `approx_sign`, 2 - 2|x|, is 0 at 1 and would freeze the kernel in fine-tuning.
LATENT_MAGNITUDE = 0.1


@dataclass(frozen=True)
class LoadReport:
    """What became of a weight file's values.

    Attributes:
        loaded: Names of the model's variables that got a value.
        missing: Names of those that found none of their name and shape.
        unused: Names in the file that no variable took.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]


def save_weights(model: tf.keras.Model, path: str | Path, *, unpacked: bool = False) -> str:
    """Write a model's weights to `path` atomically.

    Args:
        model: The model.
        path: A `.safetensors` file.
        unpacked: Keep the binary kernels' latent values, which training needs to resume
            undisturbed; otherwise only their signs, at one bit each.

    Returns:
        The file's SHA-256 in hexadecimal.

    Raises:
        LarqDenseError: The file cannot be written.
    """
    signs = set() if unpacked else {kernel.name for kernel in binary_kernels(model)}
    tensors: dict[str, NDArray[Any]] = {}
    shapes: dict[str, list[int]] = {}
    for variable in model.variables:
        value = variable.numpy()
        if variable.name in signs:
            shapes[variable.name] = list(value.shape)
            value = np.packbits(value.ravel() < 0)
        tensors[variable.name] = np.asarray(value, order="C")
    content = _in_order(save(tensors, {"format": FORMAT, "binary": json.dumps(shapes)}))
    write_bytes(path, content)
    return sha256(content)


def _in_order(content: bytes) -> bytes:
    """Return a safetensors file with its header's keys sorted, in which equal files are equal.

    The library keeps metadata in a hash table, whose order changes from process to process.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:start]), sort_keys=True, separators=(",", ":"))
    # Spaces keep what follows aligned, as the format asks.
    padded = header.encode() + b" " * (-len(header.encode()) % 8)
    return len(padded).to_bytes(8, "little") + padded + content[start:]


def read_weights(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read a weight file's values, binary kernels as -0.1 and +0.1.

    Args:
        path: A file that `save_weights` wrote.

    Raises:
        WeightsError: The file is missing, damaged or of another format.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}.") from error
    try:
        tensors = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = metadata.get("__metadata__", {})
        if metadata.get("format") != FORMAT:
            raise WeightsError(f"{path} holds no weights that larq_dense saved.")
        return _unpack(tensors, json.loads(metadata["binary"]))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"the weight file {path} is damaged ({error}); get it again.") from error


def _unpack(
    tensors: dict[str, NDArray[Any]], shapes: Mapping[str, list[int]]
) -> dict[str, NDArray[Any]]:
    for name, shape in shapes.items():
        negative = np.unpackbits(tensors[name], count=int(np.prod(shape))).reshape(shape)
        tensors[name] = np.where(negative, -LATENT_MAGNITUDE, LATENT_MAGNITUDE).astype(np.float32)
    return tensors


def load_weights(model: tf.keras.Model, path: str | Path, *, strict: bool = True) -> LoadReport:
    """Load a weight file into a model, matched by name and shape.

    Args:
        model: The model.
        path: A file that `save_weights` wrote.
        strict: Refuse a file that does not hold every variable of the model, or holds more.

    Returns:
        Which names matched.

    Raises:
        WeightsError: The file cannot be used, or, if `strict`, does not fit the model; the model
            is unchanged then.
    """
    values = read_weights(path)
    matches = {
        v.name: v
        for v in model.variables
        if v.name in values and values[v.name].shape == tuple(v.shape)
    }
    missing = tuple(v.name for v in model.variables if v.name not in matches)
    unused = tuple(name for name in values if name not in matches)
    if strict and (missing or unused):
        first = (missing or unused)[0]
        raise WeightsError(
            f"the weights {path} belong to another model: {len(missing)} of the "
            f"{len(model.variables)} variables are missing and {len(unused)} values are unused, "
            f"such as {first}."
        )
    for name, variable in matches.items():
        variable.assign(values[name].astype(variable.dtype.as_numpy_dtype))
    return LoadReport(tuple(matches), missing, unused)

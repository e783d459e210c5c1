"""Pictures of several trainings in one file, each picture and each mask once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Pictures:
    """Collects pictures, masks, and which of them a training shows."""

    def __init__(self, quality: int) -> None:
        """Begin with none.

        Args:
            quality: Of the pictures as WebP, 1…100.
        """
        self._quality = quality
        self._images, self._labels = _Store(), _Store()
        self._rows: dict[str, list[tuple[int, int]]] = {}

    def add(self, name: str, pictures: Sequence[Any]) -> None:
        """Take in a training's pictures, repeats included.

        Args:
            name: The training's.
            pictures: With `pixels`, uint8 `[height, width, 3]`, and `label`, uint8
                `[height, width]`.
        """
        self._rows[name] = [
            (
                self._images.add(each.pixels, format="WEBP", quality=self._quality),
                self._labels.add(each.label, format="PNG"),
            )
            for each in pictures
        ]

    def save(self, path: Path) -> None:
        """Write an `.npz` of the files' bytes, their sizes, and `[picture, mask]` by training."""
        rows = {f"rows/{name}": np.array(rows, np.int32) for name, rows in self._rows.items()}
        np.savez(path, **self._images.arrays("images"), **self._labels.arrays("labels"), **rows)


class _Store:
    """Encoded arrays, equal ones once."""

    def __init__(self) -> None:
        self._found: dict[bytes, int] = {}
        self._files: list[bytes] = []

    def add(self, array: NDArray[np.uint8], **settings: Any) -> int:
        key = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).digest()
        if key not in self._found:
            buffer = io.BytesIO()
            Image.fromarray(array).save(buffer, **settings)
            self._found[key] = len(self._files)
            self._files.append(buffer.getvalue())
        return self._found[key]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        sizes = np.array([len(each) for each in self._files])
        return {name: np.frombuffer(b"".join(self._files), np.uint8), f"{name}/sizes": sizes}

"""Tiny data sets, written as their authors publish them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Write = Callable[[Path, NDArray[Any]], Path]


def save(path: Path, pixels: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


@pytest.fixture
def write() -> Write:
    """Write an array as a picture; its folder is made."""
    return save


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """Return a picture of 6 rows and 8 columns."""
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


@pytest.fixture
def plain_folder(tmp_path: Path, picture: NDArray[np.uint8]) -> Callable[..., Path]:
    """Make a plain folder: its name, its masks by stem, its lists by name."""

    def make(name: str, masks: dict[str, NDArray[Any]], **lists: list[str]) -> Path:
        root = tmp_path / name
        for stem, mask in masks.items():
            save(root / "images" / f"{stem}.png", picture)
            save(root / "masks" / f"{stem}.png", mask)
        for split, stems in lists.items():
            (root / f"{split}.txt").write_text("\n".join(stems) + "\n")
        return root

    return make

"""A tiny data set to measure on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """Return a plain folder of 4 pictures in sizes of their own, with masks of two classes."""
    random = np.random.default_rng(1)
    for index, (height, width) in enumerate([(20, 30), (33, 64), (41, 17), (1, 1)]):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        label = random.choice(np.array([0, 1, 255], np.uint8), (height, width), p=[0.5, 0.4, 0.1])
        label[0, 0] = index % 2
        for folder, array in (("images", pixels), ("masks", label)):
            path = tmp_path / "street" / folder / f"frame{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    stems = "\n".join(f"frame{index}" for index in range(4))
    (tmp_path / "street" / "val.txt").write_text(stems)
    classes = "classes:\n  - {name: background, color: [0, 0, 0]}\n"
    classes += "  - {name: drivable, color: [128, 64, 128]}\n"
    (tmp_path / "street" / "classes.yaml").write_text(classes)
    return tmp_path / "street"

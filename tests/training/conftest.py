"""A data set of coloured bands that a tiny network can learn, and a recipe for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from larq_dense import models
from larq_dense.training.recipe import Recipe

COLORS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)
CLASSES = """\
classes:
  - {name: red, color: [200, 40, 40]}
  - {name: green, color: [40, 200, 40]}
  - {name: blue, color: [40, 40, 200]}
"""
MODEL = {
    "branches": 1,
    "attention": "none",
    "decoder_filters": 16,
    "head_filters": 8,
    "encoder_options": {"blocks": 1},
}


def _write_bands(root: Path, train: int = 12, validation: int = 4, ignored_rows: int = 3) -> Path:
    """Write a plain folder; each picture is three upright bands in a random order."""
    rng = np.random.default_rng(7)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    stems = [f"p{index:02d}" for index in range(train + validation)]
    for stem in stems:
        label = rng.permutation(3).astype(np.uint8).repeat(24)[None].repeat(40, 0)
        noise = rng.integers(-20, 20, (40, 72, 3))
        pixels = (COLORS[label].astype(int) + noise).clip(0, 255).astype(np.uint8)
        label[:ignored_rows] = 255
        Image.fromarray(pixels).save(root / "images" / f"{stem}.jpg", quality=95)
        Image.fromarray(label).save(root / "masks" / f"{stem}.png")
    (root / "train.txt").write_text("\n".join(stems[:train]))
    (root / "val.txt").write_text("\n".join(stems[train:]))
    (root / "classes.yaml").write_text(CLASSES)
    return root


def _recipe_values(**changes: Any) -> dict[str, Any]:
    """Return a small recipe's settings."""
    values: dict[str, Any] = {
        "name": "bands",
        "task": "folder",
        "model": MODEL,
        "input": {"height": 32, "width": 64},
        "data": {
            "train": [{"folder": "bands", "split": "train"}],
            "validation": [{"folder": "bands", "split": "val"}],
        },
        "crop": [32, 32],
        "batch_size": 4,
        "epochs": 2,
    }
    return {**values, **changes}


@pytest.fixture(scope="session")
def write_bands() -> Callable[..., Path]:
    """Return the function that writes such a folder."""
    return _write_bands


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with the folder `bands`."""
    root = tmp_path_factory.mktemp("data")
    _write_bands(root / "bands")
    return root


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    """Make the small recipe with changes to its top-level settings."""
    return lambda **changes: Recipe.from_dict(_recipe_values(**changes))


@pytest.fixture(scope="session")
def recipe_values() -> Callable[..., dict[str, Any]]:
    """Return the function that makes the small recipe's settings."""
    return _recipe_values


@pytest.fixture
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Let every recipe build the tiny network of `forked_runs.py`, and return its builder.

    Its int8 form is a recipe's own doing.
    """
    build: Callable[..., Any] = load_script(Path(__file__).with_name("forked_runs.py")).tiny_model
    monkeypatch.setattr(
        models, "build", lambda task, input_shape, **_: build(None, input_shape, task=task)
    )
    return build

"""Tiny networks in both precisions, and a tiny data set to measure them on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from larq_dense import layers, models, tasks
from larq_dense.common.images import Preprocessing
from larq_dense.runtime import ModelSpec


def _network(precision: str) -> Any:
    return models.build(
        SimpleNamespace(num_outputs=2),
        branches=2,
        precision=precision,
        input_shape=(32, 64, 3),
        decoder_filters=32,
        encoder_options={"blocks": 1},
    )


@pytest.fixture(scope="session")
def binary_model() -> Any:
    """Return a whole network."""
    return _network("binary")


@pytest.fixture(scope="session")
def float_model() -> Any:
    """Return its full-precision twin."""
    return _network("float")


def _few_layers(precision: str) -> Any:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(3)
    inputs = tf.keras.Input((32, 64, 3))
    x = tf.keras.layers.Conv2D(32, 3, 2, padding="same", activation="relu")(inputs)
    (x,) = layers.ParallelConv2D(32, branches=1, precision=precision)(x)
    x = tf.keras.layers.Conv2D(2, 1)(x)
    return tf.keras.Model(inputs, tf.keras.layers.UpSampling2D(2, interpolation="bilinear")(x))


@pytest.fixture(scope="session")
def small_binary() -> Any:
    """Return a few layers of the task cityscapes that convert in a moment."""
    model = _few_layers("binary")
    task = tasks.get("cityscapes")
    model.spec = ModelSpec.for_task("small", task, Preprocessing(32, 64))
    return model


@pytest.fixture(scope="session")
def small_float() -> Any:
    """Return their full-precision twin."""
    return _few_layers("float")


@pytest.fixture
def picture() -> NDArray[np.float32]:
    """Return one normalized picture of the small networks' size."""
    values = np.random.default_rng(5).uniform(-1, 1, (1, 32, 64, 3))
    return values.astype(np.float32)


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

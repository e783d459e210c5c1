"""Models saved by Keras and loaded again: the same logits, and what they are for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import larq_dense
from larq_dense import layers, zoo
from larq_dense.quantization import is_quantized, quantize
from larq_dense.quantization.elements import BinaryMask, Scale, Sign
from larq_dense.zoo import Entry

PICTURE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


def saved(model: tf.keras.Model, folder: Path) -> tf.keras.Model:
    """Save a model, and load it with nothing but its file."""
    model.save(folder / "model.keras")
    tf.keras.backend.clear_session()
    return tf.keras.models.load_model(folder / "model.keras")


def check(model: Any, again: Any) -> None:
    inputs = model.preprocess(PICTURE)
    np.testing.assert_array_equal(again.preprocess(PICTURE), inputs)
    logits = model(inputs).numpy()
    np.testing.assert_array_equal(again(inputs), logits)
    assert again.spec == model.spec
    size = PICTURE.shape[:2]
    np.testing.assert_array_equal(again.postprocess(logits, size), model.postprocess(logits, size))
    # What a network is for stays with every copy of it, saved once more, too.
    assert np.ptp(logits) > 0


def test_an_entry_survives(tiny: Entry, tmp_path: Path) -> None:
    model = zoo.load("tiny")
    again = saved(model, tmp_path)
    check(model, again)
    assert [v.name for v in again.weights] == [v.name for v in model.weights]


def test_an_int8_form_survives(tiny: Entry, tmp_path: Path) -> None:
    model = zoo.load("tiny")
    int8 = quantize(model, [model.preprocess(PICTURE)])
    again = saved(int8, tmp_path)
    check(int8, again)
    assert is_quantized(again)
    assert [v.name for v in again.weights] == [v.name for v in int8.weights]


@pytest.mark.parametrize(
    ("layer", "branches"),
    [
        (layers.Affine(), 1),
        (layers.BinaryAttention(), 2),
        (layers.FixedPoint(9), 1),
        (layers.GatedMerge(), 3),
        (layers.GatedMerge(folded=True), 3),
        (layers.Merge(), 2),
        (layers.NearestUpsampling2D(2), 1),
        (layers.ParallelConv2D(4, branches=2), 1),
        (layers.ParallelUpsampling2D(4, branches=2), 1),
        (layers.SoftGate(), 2),
        (layers.Threshold(), 1),
        (Scale(), 1),
        (Sign("ste_sign"), 1),
        (BinaryMask(), 1),
        (layers.DepthToSpace(2), 1),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else str(value),
)
def test_every_layer_survives(layer: Any, branches: int, tmp_path: Path) -> None:
    inputs = [tf.keras.Input((4, 6, 4)) for _ in range(branches)]
    model = tf.keras.Model(inputs, layer(inputs if branches > 1 else inputs[0]))
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.1, 0.9, v.shape) for v in model.weights])
    again = saved(model, tmp_path)
    assert type(again.layers[-1]) is type(layer)
    assert again.layers[-1].get_config() == layer.get_config()
    maps = [random.normal(size=(1, 4, 6, 4)).astype(np.float32) for _ in range(branches)]
    tf.nest.map_structure(np.testing.assert_array_equal, again(maps), model(maps))


def test_whatever_is_named_is_opened(tiny: Entry, tiny_run: Path) -> None:
    for name in ("tiny", tiny.folder, tiny_run):
        predictor = larq_dense.load(name)
        assert predictor.spec.name == "tiny"
        assert predictor.labels(PICTURE).shape == PICTURE.shape[:2]

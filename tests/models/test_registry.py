"""One's own encoder and decoder by name, `build_model`, and training by `model.fit`."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import UnknownNameError
from larq_dense.models import (
    DECODERS,
    ENCODERS,
    binary_layers,
    build,
    build_model,
    register_decoder,
    register_encoder,
    settings,
)

keras = tf.keras.layers
SMALL = {
    "input_shape": (32, 64, 3),
    "encoder_options": {"filters": (32, 32, 32, 32), "blocks": 1},
    "decoder_options": {"filters": (32, 32, 32, 32)},
}


class Task:
    num_outputs = 3


@pytest.fixture(autouse=True)
def _registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test register what it likes."""
    for registry in (ENCODERS, DECODERS):
        for name, function in registry.items():
            monkeypatch.setitem(registry, name, function)


def pyramid(inputs: Any, *, precision: str, filters: int = 8) -> list[Any]:
    features = [inputs]
    for _ in range(5):
        features.append(keras.Conv2D(filters, 3, 2, padding="same")(features[-1]))
    return features[1:]


def last(features: list[Any], *, outputs: int, precision: str) -> Any:
    x = keras.Conv2D(outputs, 1, name="head")(features[-1])
    return keras.UpSampling2D(32, interpolation="bilinear")(x)


def test_ones_own_encoder_and_decoder_by_name() -> None:
    register_encoder("pyramid")(pyramid)
    register_decoder("last")(last)
    options = {"encoder": "pyramid", "encoder_options": {"filters": 4}}
    model = build_model(3, decoder="last", input_shape=(64, 96, 3), **options)
    assert model.output_shape == (None, 64, 96, 3)
    # As a recipe says it, and with a decoder of the package.
    joined = build(Task, branches=1, input_shape=(64, 96, 3), **options)
    assert joined.output_shape == (None, 64, 96, 3) and binary_layers(joined)


def test_a_name_is_taken_once_but_a_cell_may_run_again() -> None:
    register_encoder("mine")(pyramid)
    register_encoder("mine")(pyramid)
    with pytest.raises(ValueError, match="there is an encoder light already"):
        register_encoder("light")(pyramid)


def test_unknown_names_and_options() -> None:
    with pytest.raises(UnknownNameError, match="unknown decoder 'compat'; did you mean compact"):
        build_model(3, decoder="compat")
    with pytest.raises(TypeError, match="encoder light has no option filter; it has activation, b"):
        build_model(3, encoder_options={"filter": 1})
    with pytest.raises(TypeError, match="decoder compact_s has no option branches; it has"):
        build(Task, encoder="compact_s", decoder="compact_s", branches=3)
    with pytest.raises(ValueError, match="ends at 1/16; give it the option output_stride: 32"):
        build_model(3, encoder="mobilenet_v2", precision="float")


def test_what_recipes_may_set() -> None:
    assert {"branches", "decoder_filters", "encoder", "decoder_options"} <= set(settings())
    assert "branches" not in settings("compact_m")


def test_flat_settings_are_the_grouped_ones() -> None:
    flat, grouped = (
        build(Task, input_shape=(32, 32, 3), encoder_options={"blocks": 1}, **options)
        for options in (
            {"decoder_filters": 32, "branches": 1, "estimator": "ste_sign"},
            {"decoder_options": {"filters": 32, "branches": 1, "estimator": "ste_sign"}},
        )
    )
    assert [(v.name, v.shape) for v in flat.weights] == [(v.name, v.shape) for v in grouped.weights]
    # Written flat, what both have is meant for both.
    estimators = [
        {type(x.kernel_quantizer).__name__ for x in binary_layers(m)} for m in (flat, grouped)
    ]
    assert estimators == [{"SteSign"}, {"SteSign", "ApproxSign"}]


@pytest.mark.parametrize("classes", [1, 3])
def test_a_network_of_ones_own_learns_by_fit(classes: int) -> None:
    """The first example of the API: pictures and labels in, a network that knows them out."""
    tf.keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    labels = random.integers(0, max(classes, 2), (8, 4, 8)).repeat(8, axis=1).repeat(8, axis=2)
    pictures = np.stack([labels == c for c in (0, 1, 2)], axis=-1).astype(np.float32)
    if classes > 1:
        labels[:, :4] = 255  # counts for nothing
    data = tf.data.Dataset.from_tensor_slices((2 * pictures - 1, labels)).batch(4)

    model = build_model(classes, "compact_s", "compact_s", **SMALL)
    history = model.fit(data, epochs=6, verbose=0).history

    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert 0 <= history["iou"][-1] <= 1
    assert model.predict(pictures, verbose=0).shape == (8, 32, 64, classes)

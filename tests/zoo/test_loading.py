"""`zoo.load`: what it returns, what it logs, what it refuses."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError, RecipeError, WeightsError
from larq_dense.models import binary_kernels, binary_layers
from larq_dense.models.exact import inference_form
from larq_dense.models.weights import load_weights, save_weights
from larq_dense.zoo import Entry

Model = tf.keras.Model
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture(scope="module")
def usual(published: Path) -> Model:
    """Return the entry as it is loaded by default."""
    return zoo.load(published / "tiny")


@pytest.fixture(scope="module")
def trainable(published: Path) -> Model:
    """Return the entry in the form that trains."""
    return zoo.load(published / "tiny", training=True)


@pytest.fixture(scope="module")
def renewed(published: Path) -> Model:
    """Return the entry with a new head for 4 classes."""
    return zoo.load(published / "tiny", num_classes=4)


def test_weights_are_the_runs(usual: Model, tiny: Entry, tiny_run: Path) -> None:
    run = tiny.recipe().build_model()
    load_weights(run, tiny_run / "best.safetensors")
    inputs = usual.preprocess(PICTURE)
    np.testing.assert_array_equal(usual(inputs), inference_form(run)(inputs))


def test_two_loads_are_alike(usual: Model, published: Path) -> None:
    again = zoo.load(published / "tiny")
    for one, other in zip(usual.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_preprocess_and_postprocess_come_along(usual: Model) -> None:
    inputs = usual.preprocess(PICTURE)
    assert inputs.shape == (1, 64, 64, 3) and inputs.dtype == np.float32
    logits = usual(inputs)
    labels = usual.postprocess(logits, (50, 70))
    assert labels.shape == (50, 70) and labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, usual.postprocess(logits.numpy()[0], (50, 70)))
    # At the network's own size there is nothing to resize: the sign of the logit decides.
    at_own_size = usual.postprocess(logits, tuple(logits.shape[1:3]))
    np.testing.assert_array_equal(at_own_size, logits.numpy()[0, ..., 0] >= 0)


def test_spec_describes_the_entry(usual: Model) -> None:
    spec = usual.spec
    assert (spec.name, spec.task, spec.kind) == ("tiny", "ecssd", "saliency")
    assert spec.class_names == ["background", "object"]
    assert (spec.preprocessing.height, spec.preprocessing.width) == (64, 64)


def test_logs_in_one_line_what_the_weights_have_seen(
    tiny: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="larq_dense"):
        zoo.load("tiny")
    (record,) = [each for each in caplog.records if each.name.startswith("larq_dense")]
    assert "trained on people" in record.message
    assert "never saw ECSSD" in record.message
    assert "\n" not in record.message


def test_random_weights_log_nothing_and_differ(
    tiny: Entry, usual: Model, caplog: pytest.LogCaptureFixture
) -> None:
    random = zoo.load("tiny", weights=None)
    assert not [each for each in caplog.records if each.name.startswith("larq_dense")]
    assert not np.array_equal(np.sign(binary_kernels(usual)[0]), np.sign(binary_kernels(random)[0]))


@pytest.mark.parametrize("shape", [(64, 96, 3), (None, None, 3)])
def test_another_input_shape_keeps_the_weights(
    usual: Model, published: Path, shape: tuple[int | None, int | None, int]
) -> None:
    other = zoo.load(published / "tiny", input_shape=shape)
    assert other.input_shape == (None, *shape)
    size = other.spec.preprocessing
    assert (size.height, size.width) == (shape[0] or 64, shape[1] or 64)
    assert other.postprocess(other(other.preprocess(PICTURE)), (50, 70)).shape == (50, 70)
    if shape[0] is None:
        inputs = usual.preprocess(PICTURE)
        np.testing.assert_allclose(usual(inputs), other(inputs), rtol=1e-4, atol=1e-4)


def test_num_classes_renews_the_head_only(trainable: Model, renewed: Model) -> None:
    assert renewed.output_shape[-1] == 4
    for layer in trainable.layers:
        if layer.name != "head":
            kept = renewed.get_layer(layer.name).get_weights()
            for one, other in zip(layer.get_weights(), kept, strict=True):
                np.testing.assert_array_equal(one, other)
    assert renewed.spec.num_outputs == 4
    labels = renewed.postprocess(renewed(renewed.preprocess(PICTURE)), (50, 70))
    assert labels.max() < 4


def test_only_what_trains_has_statistics(usual: Model, trainable: Model, renewed: Model) -> None:
    has_statistics = [
        any("moving_mean" in variable.name for variable in model.variables)
        for model in (usual, trainable, renewed)
    ]
    assert has_statistics == [False, True, True]


def test_gradients_reach_the_constants_of_the_form_that_predicts(published: Path) -> None:
    model = zoo.load(published / "tiny")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(model.preprocess(PICTURE), training=True) - 1.0))
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert np.isfinite(tf.norm(gradient)), variable.name
        if variable.name.endswith(("scale:0", "offset:0")):
            assert tf.norm(gradient) > 0, variable.name


def test_gradients_reach_the_new_head_and_what_was_kept(renewed: Model) -> None:
    with tf.GradientTape() as tape:
        logits = renewed(renewed.preprocess(PICTURE), training=True)
        loss = tf.reduce_mean(tf.square(logits - 1.0))
    gradients = tape.gradient(loss, renewed.trainable_variables)
    for variable, gradient in zip(renewed.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(tf.norm(gradient)), variable.name
    by_name = {v.name: g for v, g in zip(renewed.trainable_variables, gradients, strict=True)}
    for name in ("head/kernel:0", binary_kernels(renewed)[0].name):
        assert tf.norm(by_name[name]) > 0, name


def test_float_baseline_has_no_binary_layer(usual: Model, published: Path) -> None:
    baseline = zoo.load(published / "tiny", weights=None, precision="float")
    assert binary_layers(baseline) == []
    assert baseline.output_shape == usual.output_shape


def test_own_weight_file(trainable: Model, published: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    bias = trainable.get_layer("head").bias
    bias.assign_add([1.0])
    try:
        save_weights(trainable, path)
        loaded = zoo.load(published / "tiny", weights=path)
        np.testing.assert_array_equal(loaded.get_layer("head").bias, bias)
    finally:
        bias.assign_sub([1.0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"precision": "float"}, WeightsError, "no full-precision weights; pass weights=None"),
        ({"precision": "double"}, LarqDenseError, "must be 'binary', 'float' or"),
        ({"num_classes": 1}, LarqDenseError, "num_classes must be 2 to 255"),
        ({"num_classes": 256}, LarqDenseError, "num_classes must be 2 to 255"),
        ({"input_shape": (50, 64, 3)}, RecipeError, "multiples of 32"),
        ({"weights": "no/such/file"}, WeightsError, "cannot read the weights no/such/file"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    tiny: Entry, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        zoo.load("tiny", **arguments)


def test_weights_of_another_network_are_refused(
    tiny: Entry, renewed: Model, tmp_path: Path
) -> None:
    save_weights(renewed, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="belong to another model"):
        zoo.load("tiny", weights=tmp_path / "other.safetensors")


def test_damaged_weights_are_refused(tiny: Entry) -> None:
    (tiny.folder / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="damaged or not the published file"):
        zoo.load("tiny")

"""Every published entry: it loads, it computes what it did, it trains on, it converts."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from larq_dense import Predictor, evaluation, zoo
from larq_dense.conversion import convert, parity
from larq_dense.evaluation import complexity
from larq_dense.models import binary_layers
from larq_dense.models.exact import off_grid
from larq_dense.models.weights import load_weights, save_weights
from larq_dense.publishing.card import card
from larq_dense.publishing.measure import GOLDEN_PICTURE, bundled_picture, golden
from larq_dense.publishing.tables import entries_table

ENTRIES = [name for name in zoo.list_entries() if zoo.find(name).is_published]
EXPECTED = {
    "camvid": 11,
    "camvid_compact": 11,
    "camvid_slim": 11,
    "cityscapes": 2,
    "cityscapes_compact": 2,
    "cityscapes19": 19,
    "cityscapes_slim": 2,
    "ecssd": 1,
    "ecssd_compact": 1,
    "ecssd_slim": 1,
    "idd_lite": 7,
    "kitti_road": 2,
    "people": 1,
}
MEGABYTES = 4


@pytest.fixture(scope="module", params=ENTRIES)
def name(request: pytest.FixtureRequest) -> str:
    """Return each entry's name in turn."""
    value: str = request.param
    return value


@pytest.fixture(scope="module")
def model(name: str) -> tf.keras.Model:
    """Return the entry's network with its weights."""
    return zoo.load(name)


@pytest.fixture(scope="module")
def small(name: str) -> tf.keras.Model:
    """Return the entry's network at an input size that takes little time."""
    return zoo.load(name, input_shape=(64, 96, 3))


def pictures(model: tf.keras.Model) -> np.ndarray:
    """Return four pictures, preprocessed: float32 `[4, height, width, 3]`."""
    names = ("chelsea.png", "astronaut.png", "coffee.png", "motorcycle_left.png")
    return np.concatenate([model.preprocess(bundled_picture(name)) for name in names])


def test_the_zoo_is_complete() -> None:
    assert EXPECTED.keys() <= set(ENTRIES)


def test_shapes_are_the_tasks(name: str, model: tf.keras.Model) -> None:
    size = model.spec.preprocessing
    assert model.input_shape == (None, size.height, size.width, 3)
    assert model.output_shape[-1] == zoo.find(name).task().num_outputs == EXPECTED[name]


def test_is_small_enough_for_the_wheel(name: str) -> None:
    assert zoo.find(name).weights().stat().st_size < MEGABYTES * 2**20


def test_computes_what_it_did_when_it_was_published(name: str, model: tf.keras.Model) -> None:
    then = np.array(zoo.find(name).metrics()["golden"]["logits"])
    now = np.array(golden(model)["logits"])
    assert now.shape == then.shape
    # No sign depends on the machine; the last bits of the logits do, which are rounded to 0.001.
    np.testing.assert_allclose(now, then, atol=1.1e-3)


def test_serialization_round_trip(small: tf.keras.Model, tmp_path: Path) -> None:
    rebuilt = tf.keras.models.model_from_json(small.to_json())
    save_weights(small, tmp_path / "weights.safetensors")
    load_weights(rebuilt, tmp_path / "weights.safetensors")
    expected = small(pictures(small)).numpy()
    np.testing.assert_allclose(rebuilt(pictures(small)), expected, rtol=1e-4, atol=1e-3)


def test_gradients_reach_every_variable(name: str) -> None:
    small = zoo.load(name, input_shape=(64, 96, 3), training=True)
    # Several pictures: normalized over a batch of one, pooled features would be constant.
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(small(pictures(small), training=True) - 1.0))
    variables = small.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient.numpy()).all(), variable.name
        assert np.any(gradient != 0), variable.name


def test_converts_to_the_bytes_it_ships_and_agrees_with_keras(
    name: str, model: tf.keras.Model
) -> None:
    converted = convert(model, images=[bundled_picture(GOLDEN_PICTURE)])
    assert len(converted.audit.layers) == len(binary_layers(model)) > 0
    assert converted.parity is not None
    assert converted.parity.same_labels >= 0.9999
    published = zoo.find(name).metrics()["conversion"]
    assert published["parity"]["same_labels"] >= 0.9999
    assert len(converted.audit.layers) == published["binary_layers"]
    assert len(converted.content) == published["bytes"]
    assert converted.content == zoo.find(name).tflite().read_bytes()


def test_larq_compute_engines_interpreter_takes_the_same_signs(
    name: str, model: tf.keras.Model
) -> None:
    content = zoo.find(name).tflite().read_bytes()
    compared = parity(model, content, [bundled_picture(GOLDEN_PICTURE)], runtime="lce")
    assert compared.same_labels >= 0.9999
    # One other sign would change logits by far more.
    assert compared.max_logit_difference < 1e-5


def test_every_constant_is_on_the_grid(model: tf.keras.Model) -> None:
    assert not off_grid(model)


def test_complexity_is_the_published_one(name: str, model: tf.keras.Model) -> None:
    assert complexity(model).totals() == zoo.find(name).metrics()["complexity"]["binary"]


def test_card_is_the_generated_one(name: str) -> None:
    entry = zoo.find(name)
    assert card(entry) == entry.card()


def test_readme_holds_the_generated_table(checkout: Path) -> None:
    assert entries_table() in (checkout / "README.md").read_text(encoding="utf-8")


def test_published_accuracy_is_reproduced(shared_data: Path) -> None:
    entry = zoo.find("idd_lite")
    (row,) = entry.metrics()["accuracy"]
    samples = entry.task().samples(shared_data / row["data"], row["split"])
    measured = evaluation.evaluate(Predictor(zoo.load("idd_lite")), entry.task(), samples)
    assert measured["images"] == row["images"] == len(samples)
    assert measured["metrics"]["miou"] == pytest.approx(row["metrics"]["miou"], abs=0.005)

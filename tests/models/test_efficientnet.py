"""EfficientNet-Lite0: its ImageNet weights arrive where they belong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import WeightsError
from larq_dense.common.images import Preprocessing
from larq_dense.models.efficientnet import efficientnet_lite0, load_imagenet

SHAPES = [(16, 16, 16), (8, 8, 24), (4, 4, 40), (2, 2, 112), (1, 1, 320)]


@pytest.fixture(scope="module")
def encoder() -> tf.keras.Model:
    inputs = tf.keras.Input((None, None, 3))
    return tf.keras.Model(inputs, efficientnet_lite0(inputs, precision="float"))


@pytest.fixture(scope="module")
def imagenet(shared_data: Path) -> Path:
    path = shared_data / "weights" / "efficientnet_lite0_imagenet.npz"
    if not path.is_file():
        pytest.skip(f"no weights: {path} is not there")
    return path


def test_features(encoder: tf.keras.Model) -> None:
    features = encoder(np.zeros((1, 32, 32, 3), np.float32))
    assert [tuple(feature.shape[1:]) for feature in features] == SHAPES
    # The paper's 4.7 M parameters, less those of head and classifier.
    head = 320 * 1280 + 2 * 1280 + 1281 * 1000
    trainable = sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)
    assert trainable + head == pytest.approx(4.65e6, rel=0.01)


def test_real_pictures_have_the_stored_statistics(
    encoder: tf.keras.Model, imagenet: Path, shared_data: Path
) -> None:
    """What each normalization gets has the mean and variance that training on ImageNet left."""
    assert load_imagenet(encoder, imagenet) == len(encoder.weights)
    preprocessing = Preprocessing(224, 224, (127.0,) * 3, (128.0,) * 3)
    files = sorted((shared_data / "objects" / "images").iterdir())[::10]
    pictures = np.concatenate([preprocessing(path) for path in files])
    norms = [x for x in encoder.layers if isinstance(x, tf.keras.layers.BatchNormalization)]
    assert len(norms) == 1 + 15 * 3 + 2
    inputs = tf.keras.Model(encoder.input, [norm.input for norm in norms])(pictures)
    for norm, values in zip(norms, inputs, strict=True):
        mean, variance = (x.numpy() for x in tf.nn.moments(values, (0, 1, 2)))
        # Channels that were off all the time tell nothing.
        alive = norm.moving_variance.numpy() > 1e-3
        stored = norm.moving_variance.numpy()[alive]
        away = np.abs(mean - norm.moving_mean.numpy())[alive] / np.sqrt(stored)
        assert np.median(away) < 0.3, norm.name
        assert 0.5 < np.median(variance[alive] / stored) < 1.5, norm.name


def shapes(encoder: tf.keras.Model, imagenet: Path) -> dict[str, NDArray[np.float16]]:
    with np.load(imagenet) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b"nothing"), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged"),
        (lambda path: np.savez(path, other=np.zeros(3)), r"hold no _\S+ that fits"),
        (lambda path: np.savez(path, **{"_conv_stem.weight": np.zeros(3)}), "_conv_stem.weight"),
        (lambda path: np.savez(path, **{"_conv_stem.weight": np.array({})}), "damaged"),
    ],
    ids=["missing", "text", "empty", "cut", "foreign", "shape", "pickle"],
)
def test_unusable_weights(
    encoder: tf.keras.Model, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, some=np.zeros(100))
    before = encoder.get_weights()
    spoil(path)
    with pytest.raises(WeightsError, match=said) as raised:
        load_imagenet(encoder, path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    for old, new in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_another_encoder(tmp_path: Path) -> None:
    inputs = tf.keras.Input((32, 32, 3))
    model = tf.keras.Model(inputs, tf.keras.layers.Conv2D(4, 3)(inputs))
    with pytest.raises(WeightsError, match="for the encoder efficientnet_lite0"):
        load_imagenet(model, tmp_path / "weights.npz")

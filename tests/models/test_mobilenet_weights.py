"""MobileNetV2's ImageNet weights out of the quantized classifier."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import WeightsError
from larq_dense.common.images import Preprocessing
from larq_dense.models import build_model
from larq_dense.models.mobilenet_weights import load_quantized

SIDE = 224


@pytest.fixture(scope="module")
def classifier_file(shared_data: Path) -> Path:
    path = shared_data / "weights" / "mobilenet_v2_1.0_224_quant.tflite"
    if not path.is_file():
        pytest.skip(f"no weights: {path} is not there")
    return path


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> list[NDArray[np.float32]]:
    preprocessing = Preprocessing(SIDE, SIDE, (128.0,) * 3, (128.0,) * 3)
    files = sorted((shared_data / "objects" / "images").iterdir())[::26]
    return [preprocessing(path) for path in files]


def features_of(file: Path, pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return what the file's own integers say of each picture, before its last 1x1 convolution."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(
            str(file), experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
        )  # fmt: skip
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    (target,) = (
        d for d in interpreter.get_tensor_details() if d["name"] == "MobilenetV2/Logits/AvgPool"
    )
    scale, zero_point = target["quantization"]
    found = []
    for picture in pictures:
        interpreter.set_tensor(source, np.round(picture * 128 + 128).astype(np.uint8))
        interpreter.invoke()
        found.append(scale * (interpreter.get_tensor(target["index"]).ravel() - float(zero_point)))
    return np.array(found, np.float32)


@pytest.mark.parametrize("known", [0, 4], ids=["no statistics", "statistics"])
def test_real_numbers_agree_with_the_file_on_real_pictures(
    classifier_file: Path, pictures: list[NDArray[np.float32]], known: int
) -> None:
    model = tf.keras.applications.MobileNetV2(
        (SIDE, SIDE, 3), include_top=False, weights=None, pooling="avg"
    )
    assert load_quantized(model, classifier_file, pictures[:known]) == len(model.weights)
    ours = np.concatenate([model(picture).numpy() for picture in pictures])
    theirs = features_of(classifier_file, pictures)
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]
    others = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs[1:], strict=False)]
    assert min(alike) > 0.9 and max(others) < min(alike)


def test_statistics_are_those_of_the_pictures(
    classifier_file: Path, pictures: list[NDArray[np.float32]]
) -> None:
    """Training, which takes a batch's own, begins with the function that the file has."""
    model = build_model(3, "mobilenet_v2", "lraspp", precision="float", input_shape=(SIDE, SIDE, 3))
    assert load_quantized(model, classifier_file, pictures[:4]) == 5 * (1 + 2 + 12 * 3 + 1)
    batch = np.concatenate(pictures[:4])
    encoder = tf.keras.Model(model.input, model.get_layer("lraspp_conv").input)
    expected, actual = encoder(batch, training=False).numpy(), encoder(batch, training=True).numpy()
    np.testing.assert_allclose(actual, expected, atol=0.05)


@pytest.mark.parametrize(
    ("encoder", "options", "said"),
    [
        ("mobilenet_v2", {"alpha": 0.5}, "hold no Conv of shape .* alpha: 1.0"),
        ("mobilenet_v3_small", {}, "for the encoder mobilenet_v2, which the model does not have"),
    ],
)
def test_another_network(
    classifier_file: Path, encoder: str, options: dict[str, float], said: str
) -> None:
    model = build_model(3, encoder, "lraspp", precision="float", encoder_options=options)
    before = model.get_weights()
    with pytest.raises(WeightsError, match=said):
        load_quantized(model, classifier_file)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_unusable_files(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.tflite"
    if content is not None:
        path.write_bytes(content)
    model = build_model(3, "mobilenet_v2", "lraspp", precision="float", input_shape=(32, 32, 3))
    with pytest.raises(WeightsError, match=r"No such file|no .tflite file or damaged"):
        load_quantized(model, path)

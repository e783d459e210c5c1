import copy
import os
import pickle
import select
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tiny_models as tiny
from PIL import Image

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.images import Preprocessing
from larq_dense.common.labels import resize_scores
from larq_dense.conversion import to_flatbuffer
from larq_dense.runtime import ModelSpec, Predictor

HEIGHT, WIDTH = 8, 12


class Fixed:
    """An interpreter that remembers its input and always answers the same."""

    input_shape = (1, HEIGHT, WIDTH, 3)

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits.astype(np.float32)[None]
        self.output_shape = self.logits.shape

    def run(self, inputs: np.ndarray) -> np.ndarray:
        self.seen = inputs
        return self.logits


def fixed(channels: int, kind: str = "segmentation", scale: float = 3.0) -> Predictor:
    logits = np.random.default_rng(channels).normal(0, scale, (4, 6, channels))
    return Predictor(Fixed(logits), tiny.spec(kind, HEIGHT, WIDTH))


def picture(height: int, width: int, channels: int | None = 3) -> np.ndarray:
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 12), (40, 31)])
def test_probabilities_and_labels_have_the_pictures_size(size: tuple[int, int]) -> None:
    predictor = fixed(3)
    scores = resize_scores(predictor.logits(picture(*size)), *size)
    probabilities = predictor.probabilities(picture(*size))
    labels = predictor.labels(picture(*size))
    assert probabilities.dtype == np.float32 and labels.dtype == np.uint8
    np.testing.assert_allclose(probabilities, scipy.special.softmax(scores, -1), atol=1e-6)
    np.testing.assert_array_equal(labels, scores.argmax(-1))


def test_saliency_is_a_sigmoid_and_a_half() -> None:
    predictor = fixed(1, "saliency")
    probabilities = predictor.probabilities(picture(20, 30))
    expected = scipy.special.expit(resize_scores(predictor.logits(picture(20, 30)), 20, 30))
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    np.testing.assert_array_equal(
        predictor.labels(picture(20, 30)), (expected[..., 0] >= 0.5).astype(np.uint8)
    )


@pytest.mark.parametrize(("channels", "kind"), [(1, "saliency"), (3, "segmentation")])
def test_huge_logits_do_not_overflow(channels: int, kind: str) -> None:
    predictor = fixed(channels, kind, scale=1e5)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(predictor.probabilities(picture(9, 9))).all()


def test_the_network_sees_the_picture_normalized() -> None:
    predictor = fixed(3)
    image = picture(HEIGHT, WIDTH)
    predictor.labels(image)
    expected = (image - np.array([120.0, 115.5, 110.0])) / np.array([60.0, 59.0, 58.5])
    np.testing.assert_allclose(predictor._interpreter.seen[0], expected, atol=1e-5)


@pytest.mark.parametrize("channels", [None, 1, 4])
def test_grey_and_transparent_arrays_are_taken(channels: int | None) -> None:
    assert fixed(3).labels(picture(5, 7, channels)).shape == (5, 7)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_kind_of_file_is_taken(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode in ("CMYK", "F", "I") else "png"
    path = tmp_path / f"picture.{suffix}"
    if mode == "I;16":
        Image.fromarray(picture(5, 7, None).astype(np.uint16) * 256).save(path)
    else:
        Image.fromarray(picture(5, 7)).convert(mode).save(path)
    assert fixed(3).labels(path).shape == (5, 7)


def test_a_path_a_picture_and_an_array_give_the_same(tmp_path: Path) -> None:
    model, _ = tiny.converted()
    predictor = Predictor(model, tiny.spec())
    image = picture(20, 30)
    Image.fromarray(image).save(tmp_path / "x.png")
    given: list[Any] = [image, Image.fromarray(image), tmp_path / "x.png", str(tmp_path / "x.png")]
    logits = [predictor.logits(each) for each in given]
    for other in logits[1:]:
        np.testing.assert_array_equal(other, logits[0])


def test_keras_and_the_file_agree(tmp_path: Path) -> None:
    model, result = tiny.converted()
    result.save(tmp_path / "x.tflite")
    ours, theirs = Predictor.from_keras(model, tiny.spec()), Predictor(tmp_path / "x.tflite")
    assert theirs.spec == tiny.spec()
    assert theirs.input_shape == ours.input_shape == (1, tiny.HEIGHT, tiny.WIDTH, 3)
    image = picture(33, 47)
    assert (ours.labels(image) == theirs.labels(image)).mean() > 0.99


def test_keras_uses_the_weights_of_the_moment() -> None:
    model = tiny.around()
    predictor = Predictor(model, tiny.spec())
    before = predictor.logits(picture(5, 5))
    head = model.get_layer("head")
    head.set_weights([head.kernel.numpy(), head.bias.numpy() + 1])
    np.testing.assert_allclose(predictor.logits(picture(5, 5)), before + 1, atol=1e-4)


def test_a_model_may_carry_its_own_description() -> None:
    model = tiny.around()
    with pytest.raises(DataError, match="carries no description"):
        Predictor(model)
    model.spec = tiny.spec()
    assert Predictor(model).spec == tiny.spec()


def test_a_file_without_a_description_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(to_flatbuffer(tiny.around(), (1, tiny.HEIGHT, tiny.WIDTH, 3)))
    with pytest.raises(DataError, match=r"bare\.tflite has no metadata.*convert.*--entry"):
        Predictor(path)
    assert Predictor(path, tiny.spec()).labels(picture(6, 5)).shape == (6, 5)


@pytest.mark.parametrize("spec", [tiny.spec(height=64), tiny.spec("saliency")])
def test_a_description_that_does_not_fit_is_refused(spec: ModelSpec) -> None:
    for model in (tiny.converted()[0], tiny.converted()[1].content):
        with pytest.raises(DataError, match="its description says"):
            Predictor(model, spec)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(picture(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"cut\.jpg"):
        fixed(3).labels(path)


def test_preprocessing_is_the_descriptions() -> None:
    size = Preprocessing(HEIGHT, WIDTH, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    spec = ModelSpec("x", "t", "segmentation", tiny.spec().classes, size)
    predictor = Predictor(Fixed(np.zeros((4, 6, 3))), spec)
    predictor.logits(np.full((3, 3, 3), 255, np.uint8))
    np.testing.assert_array_equal(predictor._interpreter.seen, np.ones((1, HEIGHT, WIDTH, 3)))


def test_a_keras_model_runs_without_tf32() -> None:
    seen: list[bool] = []
    enabled = tf.config.experimental.tensor_float_32_execution_enabled

    def watch(x: tf.Tensor) -> tf.Tensor:
        seen.append(enabled())
        return x

    inputs = tf.keras.Input((tiny.HEIGHT, tiny.WIDTH, 3))
    watched = tf.keras.layers.Lambda(
        lambda x: tf.ensure_shape(tf.py_function(watch, [x], x.dtype), x.shape)
    )
    model = tf.keras.Model(inputs, watched(inputs))
    assert enabled()
    Predictor(model, tiny.spec()).labels(picture(8, 12))
    # Keras called it once to build it, outside of a prediction.
    assert seen[-1] is False
    assert enabled()


@pytest.fixture(scope="module")
def file() -> bytes:
    content: bytes = tiny.converted()[1].content
    return content


@pytest.mark.parametrize("given", [bytes, bytearray, memoryview])
def test_a_model_may_come_as_any_bytes(file: bytes, given: Any) -> None:
    assert Predictor(given(file)).labels(picture(6, 5)).shape == (6, 5)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_threads_may_share_a_predictor(file: bytes, num_threads: int) -> None:
    predictor = Predictor(file, num_threads=num_threads)
    images = [
        np.random.default_rng(each).integers(0, 256, (40, 50, 3), np.uint8) for each in range(6)
    ]
    expected = [predictor.logits(image) for image in images]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(predictor.logits, images * 20))
    for index, logits in enumerate(found):
        np.testing.assert_array_equal(logits, expected[index % len(images)])


def test_threads_may_share_a_predictor_over_keras() -> None:
    predictor = Predictor(tiny.converted()[0], tiny.spec())
    expected = predictor.logits(picture(9, 9))
    with ThreadPoolExecutor(4) as pool:
        for logits in pool.map(predictor.logits, [picture(9, 9)] * 16):
            np.testing.assert_array_equal(logits, expected)


def test_a_predictor_over_a_file_is_pickled_and_copied(file: bytes) -> None:
    predictor = Predictor(file, num_threads=2)
    expected = predictor.logits(picture(9, 9))
    for other in (pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor)):
        assert other.spec == predictor.spec
        np.testing.assert_array_equal(other.logits(picture(9, 9)), expected)


def test_a_predictor_over_keras_refuses_to_be_pickled() -> None:
    predictor = Predictor(tiny.converted()[0], tiny.spec())
    with pytest.raises(LarqDenseError, match="cannot be pickled; convert"):
        pickle.dumps(predictor)


def forked(act: Callable[[], bytes]) -> bytes:
    """Return what a forked process writes; fail, rather than wait, where it hangs."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.write(writer, act())
        finally:
            os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], 60)
    if not ready:
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with os.fdopen(reader, "rb") as stream:
        return stream.read()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_predictor_over_a_file_works_in_a_forked_process(file: bytes, num_threads: int) -> None:
    predictor = Predictor(file, num_threads=num_threads)
    expected = predictor.labels(picture(9, 9))
    # A fork may come while another thread is at work.
    with predictor._lock:
        found = forked(lambda: predictor.labels(picture(9, 9)).tobytes())
    assert found == expected.tobytes()
    np.testing.assert_array_equal(predictor.labels(picture(9, 9)), expected)


def test_a_predictor_over_keras_says_in_a_forked_process_that_it_cannot() -> None:
    predictor = Predictor(tiny.converted()[0], tiny.spec())
    predictor.logits(picture(9, 9))

    def act() -> bytes:
        try:
            predictor.logits(picture(9, 9))
        except LarqDenseError as error:
            return str(error).encode()
        return b"predicted"

    assert b"does not survive a fork" in forked(act)


@pytest.mark.parametrize("num_threads", [0, -1, 65, 100_000])
@pytest.mark.parametrize("runtime", ["xnor", "lce"])
def test_a_number_of_threads_that_no_runtime_takes_is_named(
    file: bytes, num_threads: int, runtime: Any
) -> None:
    with pytest.raises(LarqDenseError, match=rf"must be 1 to 64, not {num_threads}\b"):
        Predictor(file, num_threads=num_threads, runtime=runtime)


def test_one_run_of_the_network_gives_labels_and_probabilities() -> None:
    predictor = fixed(3)
    prediction = predictor.predict(picture(20, 30))
    np.testing.assert_array_equal(prediction.labels(), predictor.labels(picture(20, 30)))
    np.testing.assert_array_equal(
        prediction.probabilities(), predictor.probabilities(picture(20, 30))
    )

"""The baselines' files compute what the Keras model computes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from larq_dense.conversion.baseline import float_tflite, int8_tflite
from larq_dense.latency.benchmark import candidates


@pytest.fixture(scope="module")
def int8_file(small_float: Any) -> bytes:
    random = np.random.default_rng(5)
    pictures = [random.uniform(-1, 1, (1, 32, 64, 3)).astype(np.float32) for _ in range(8)]
    return int8_tflite(small_float, pictures)


def test_the_float_file_equals_keras(small_float: Any, picture: NDArray[np.float32]) -> None:
    (entrant,) = candidates([1], float_file=float_tflite(small_float))
    np.testing.assert_allclose(entrant.run(picture), small_float(picture), atol=1e-5)


def test_the_int8_file_is_close_to_keras(
    small_float: Any, int8_file: bytes, picture: NDArray[np.float32]
) -> None:
    (entrant,) = candidates([1], int8_file=int8_file)
    logits, expected = entrant.run(picture), small_float(picture).numpy()
    step = np.ptp(expected) / 255
    assert 0 < np.abs(logits - expected).max() < 12 * step


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_the_int8_file_computes_in_int8(int8_file: bytes) -> None:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(
        model_content=int8_file,
        experimental_op_resolver_type=(
            tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
    )
    interpreter.allocate_tensors()
    kinds = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    convolutions = [
        operation
        for operation in interpreter._get_ops_details()
        if operation["op_name"] == "CONV_2D"
    ]
    assert len(convolutions) == 3
    for operation in convolutions:
        picture, kernel = operation["inputs"][:2]
        assert kinds[picture] == kinds[kernel] == np.int8
        assert kinds[operation["outputs"][0]] == np.int8

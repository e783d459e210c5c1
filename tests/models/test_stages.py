"""Binary activations with real kernels, the first of two stages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.layers import BinaryAttention, ParallelConv2D, ParallelUpsampling2D
from larq_dense.models import binary_layers, build


class Task:
    num_outputs = 5


@pytest.mark.parametrize(
    "make",
    [
        lambda precision: ParallelConv2D(6, branches=2, precision=precision),
        lambda precision: ParallelUpsampling2D(6, branches=2, precision=precision),
        lambda precision: BinaryAttention("both", precision),
    ],
    ids=["convolution", "upsampling", "attention"],
)
def test_kernels_of_signs_make_the_binary_layer(make: Callable[[str], Any]) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32))
    binary, real = make("binary"), make("activations")
    expected = binary(x)
    real(x)
    assert len(real.weights) == len(binary.weights)
    for ours, theirs in zip(real.weights, binary.weights, strict=True):
        kernel = "kernel" in theirs.name
        ours.assign(np.where(theirs.numpy() < 0, -1, 1) if kernel else theirs)
    np.testing.assert_allclose(real(x), expected, atol=1e-4)
    for weight in real.weights:
        if "kernel" in weight.name:
            weight.assign(0.5 * weight + 0.3)
    assert not np.allclose(real(x), expected, atol=0.1), "real values of kernels count"


def test_the_second_stage_takes_every_variable() -> None:
    first, second = (
        build(
            Task,
            precision=precision,
            branches=2,
            input_shape=(32, 32, 3),
            encoder_options={"blocks": 1},
        )
        for precision in ("activations", "binary")
    )
    assert [(v.name, v.shape) for v in first.weights] == [(v.name, v.shape) for v in second.weights]
    assert binary_layers(second) and not binary_layers(first)

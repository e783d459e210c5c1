"""The XNOR runtime against LCE's reference kernel and against the definition, over random cases.

`LARQ_DENSE_XNOR_CASES` sets how many convolutions are tried (each on every instruction set).
"""

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from larq_dense.runtime import xnor

if not xnor.available():
    pytest.skip(str(xnor.why_unavailable()), allow_module_level=True)
pytest.importorskip("flatbuffers")

import lce_graph
import oracle
from conv_cases import ConvCase, conv_cases

CASES = int(os.environ.get("LARQ_DENSE_XNOR_CASES", "250"))
SETTINGS = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def run_xnor(model: bytes, *inputs: np.ndarray, **options: Any) -> list[np.ndarray]:
    interpreter = xnor.load(model, **options)
    for detail, x in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def run_lce(model: bytes, x: np.ndarray) -> np.ndarray:
    lce = pytest.importorskip("larq_compute_engine")
    wrapper = lce.tflite.python.interpreter.Interpreter(model, use_reference_bconv=True)
    # Its own `predict` hands over one picture at a time, whatever batch the model has.
    result: np.ndarray = wrapper.interpreter.predict([x])[0]
    return result


@SETTINGS
@given(conv_cases())
def test_convolution_equals_lce_and_the_definition(case: ConvCase) -> None:
    numbers = case.numbers()
    model = case.model(numbers)
    dot = case.dot_products(numbers)
    expected = run_lce(model, numbers["x"])
    for name in xnor.instruction_sets():
        (got,) = run_xnor(model, numbers["x"], num_threads=case.threads, instruction_set=name)
        assert got.dtype == expected.dtype and got.shape == expected.shape
        if case.out == "float32":
            exact = oracle.affine(
                oracle.activate(dot, case.activation), numbers["multiplier"], numbers["bias"]
            )
            np.testing.assert_array_equal(got, exact, err_msg=name)
            np.testing.assert_allclose(got, expected, atol=1e-4 * (np.abs(expected).max() + 1))
        else:
            np.testing.assert_array_equal(got, expected, err_msg=name)
        if case.out == "bitpacked":
            depth = int(np.prod(numbers["filters"].shape[1:]))
            negative = depth - dot > 2 * numbers["thresholds"]
            np.testing.assert_array_equal(got, lce_graph.pack_bits(np.where(negative, -1, 1)))


@SETTINGS
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 100)),
    st.sampled_from(["float32", "int8", "bool"]),
    st.sampled_from(["float32", "int8", "bool"]),
    st.integers(0, 2**32 - 1),
)
def test_quantize_and_dequantize_equal_lce(
    shape: tuple[int, ...], source: str, target: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    zero_point = int(rng.integers(-128, 128))
    scale = float(np.float32(rng.uniform(0.01, 2.0)))
    graph = lce_graph.Graph()
    if source == "float32":
        x = rng.normal(size=shape).astype(np.float32)
        x[rng.random(shape) < 0.1] = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf])
    elif source == "int8":
        x = rng.integers(-128, 128, shape).astype(np.int8)
    else:
        x = rng.random(shape) < 0.5
    quantization = {"scale": 1.0, "zero_point": zero_point} if source == "int8" else {}
    bits = graph.quantize(graph.input(shape, x.dtype, **quantization))
    out = {"scale": scale, "zero_point": zero_point} if target == "int8" else {}
    model = graph.build(graph.dequantize(bits, shape[-1], np.dtype(target), **out))
    expected = run_lce(model, x)
    for name in xnor.instruction_sets():
        (got,) = run_xnor(model, x, instruction_set=name)
        np.testing.assert_array_equal(got, expected, err_msg=name)


@SETTINGS
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 12), st.integers(1, 12), st.integers(1, 80)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from(["SAME", "VALID"]),
    st.integers(0, 2**32 - 1),
)
def test_max_pool_equals_lce(
    shape: tuple[int, ...],
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    seed: int,
) -> None:
    if padding == "VALID":
        size = (min(size[0], shape[1]), min(size[1], shape[2]))
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    graph = lce_graph.Graph()
    pooled = graph.max_pool(graph.quantize(graph.input(shape)), size, strides, padding)
    model = graph.build(pooled)
    (got,) = run_xnor(model, x, num_threads=2)
    np.testing.assert_array_equal(got, run_lce(model, x))

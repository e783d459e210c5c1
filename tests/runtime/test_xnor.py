"""Loading models into the XNOR runtime, and what it says where it cannot."""

import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from larq_dense.common.errors import LarqDenseError
from larq_dense.runtime import library, xnor

NATIVE_TESTS = Path(__file__).resolve().parents[1] / "native"
needs_library = pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))


def graph_module() -> Any:
    pytest.importorskip("flatbuffers")
    if str(NATIVE_TESTS) not in sys.path:
        sys.path.insert(0, str(NATIVE_TESTS))
    return importlib.import_module("lce_graph")


def small_model(options: dict[str, int] | bytes | None = None) -> bytes:
    """Write a model of one binary convolution, with other options where given."""
    lce_graph = graph_module()
    graph = lce_graph.Graph()
    rng = np.random.default_rng(0)
    bits = graph.quantize(graph.input((1, 8, 9, 32)))
    output = graph.conv(
        bits,
        32,
        np.where(rng.random((16, 3, 3, 32)) < 0.5, -1, 1),
        multiplier=rng.normal(size=16),
        bias=rng.normal(size=16),
    )
    if options is not None:
        operator = graph.operators[-1]
        if isinstance(options, bytes):
            operator.customOptions = np.frombuffer(options, np.uint8)
        else:
            from flatbuffers import flexbuffers

            names = ("stride_height", "stride_width", "dilation_height_factor")
            given = dict.fromkeys((*names, "dilation_width_factor", "pad_values"), 1)
            given |= {"padding": 0, "channels_in": 32, "fused_activation_function": 0, **options}
            builder = flexbuffers.Builder()
            builder.MapFromElements(given)
            operator.customOptions = np.frombuffer(bytes(builder.Finish()), np.uint8)
    model: bytes = graph.build(output)
    return model


def picture() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(1, 8, 9, 32)).astype(np.float32)


@needs_library
def test_a_path_and_its_bytes_give_the_same(tmp_path: Path) -> None:
    model = small_model()
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    from_bytes = xnor.load(model)
    assert from_bytes.input_shape == (1, 8, 9, 32)
    assert from_bytes.output_shape == (1, 8, 9, 16)
    np.testing.assert_array_equal(from_bytes.run(picture()), xnor.load(path, 2).run(picture()))


@needs_library
def test_every_instruction_set_gives_the_same_bits() -> None:
    results = [
        xnor.load(small_model(), instruction_set=name).run(picture())
        for name in xnor.instruction_sets()
    ]
    assert len(results) >= 2 and "portable" in xnor.instruction_sets()
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@needs_library
@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"stride_height": 0}, "strides and dilations must be positive"),
        ({"dilation_width_factor": -1}, "strides and dilations must be positive"),
        ({"padding": 7}, "unknown padding"),
        ({"pad_values": 2}, "pad_values must be 0 or 1"),
        ({"channels_in": 64}, "shape"),
        ({"fused_activation_function": 99}, "unknown fused activation"),
        (b"", "malformed options"),
        (b"\x00\x01\x02nonsense", "malformed options"),
    ],
)
def test_malformed_options_are_refused_with_a_sentence(
    options: dict[str, int] | bytes, part: str
) -> None:
    with pytest.raises(LarqDenseError, match=part):
        xnor.load(small_model(options))


@needs_library
def test_a_wrong_input_is_refused() -> None:
    interpreter = xnor.load(small_model())
    with pytest.raises(LarqDenseError, match=r"takes float32 \[1, 8, 9, 32\]"):
        interpreter.run(np.zeros((1, 8, 8, 32), np.float32))


@needs_library
def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"not a model at all")
    for model in (path, b"neither is this", tmp_path / "missing.tflite"):
        with pytest.raises(LarqDenseError, match="cannot run this model"):
            xnor.load(model)


@needs_library
def test_the_input_can_be_resized() -> None:
    interpreter = xnor.load(small_model())
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, [2, 5, 6, 32])
    interpreter.allocate_tensors()
    x = np.random.default_rng(2).normal(size=(2, 5, 6, 32)).astype(np.float32)
    both = interpreter.run(x)
    assert both.shape == (2, 5, 6, 16)
    interpreter.resize_tensor_input(index, [1, 5, 6, 32])
    interpreter.allocate_tensors()
    np.testing.assert_array_equal(interpreter.run(x[1:]), both[1:])


@needs_library
def test_interpreters_in_many_threads_do_not_disturb_each_other() -> None:
    model = small_model()
    expected = xnor.load(model).run(picture())
    wrong: list[int] = []

    def work(number: int) -> None:
        interpreter = xnor.load(model, 2)
        for _ in range(50):
            if not np.array_equal(interpreter.run(picture()), expected):
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@needs_library
def test_stock_tensorflow_takes_the_delegate_too() -> None:
    tf_interpreter = pytest.importorskip("tensorflow.lite.python.interpreter")
    delegate = tf_interpreter.load_delegate(os.fspath(xnor.library_path()))
    interpreter = tf_interpreter.Interpreter(
        model_content=small_model(), experimental_delegates=[delegate]
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture())
    interpreter.invoke()
    result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(result, xnor.load(small_model()).run(picture()))


@needs_library
def test_unknown_options_are_refused() -> None:
    with pytest.raises(LarqDenseError, match=r"instruction_set=abacus names .* it has .*portable"):
        xnor.load(small_model(), instruction_set="abacus")
    for threads in (0, 65):
        with pytest.raises(LarqDenseError, match=f"num_threads must be 1 to 64, not {threads}"):
            xnor.load(small_model(), threads)


@needs_library
def test_the_delegate_names_the_option_that_is_wrong() -> None:
    for options, sentence in (
        ({"num_threads": "65"}, "num_threads must be 0 to 64, not 65"),
        ({"instruction_set": "abacus"}, "no option instruction_set=abacus"),
    ):
        with pytest.raises(ValueError, match=sentence):
            xnor._interpreter_module().load_delegate(os.fspath(xnor.library_path()), options)


@needs_library
def test_the_environment_chooses_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = xnor.load(small_model()).run(picture())
    for name in xnor.instruction_sets():
        monkeypatch.setenv("LARQ_DENSE_XNOR_ISA", name)
        np.testing.assert_array_equal(xnor.load(small_model()).run(picture()), expected)
    monkeypatch.setenv("LARQ_DENSE_XNOR_ISA", "abacus")
    with pytest.raises(LarqDenseError, match=r"^LARQ_DENSE_XNOR_ISA=abacus names no .*portable\.$"):
        xnor.load(small_model())


def test_without_the_library_there_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(library, "library_path", lambda: tmp_path / "missing.so")
    xnor.why_unavailable.cache_clear()
    library.why_no_library.cache_clear()
    try:
        assert not xnor.available()
        assert "was not built" in str(xnor.why_unavailable())
        with pytest.raises(LarqDenseError, match="was not built"):
            xnor.load(b"")
    finally:
        xnor.why_unavailable.cache_clear()
        library.why_no_library.cache_clear()


def test_importing_the_module_imports_no_interpreter() -> None:
    script = (
        "import sys, larq_dense.runtime.xnor; "
        "assert not {'tensorflow', 'ai_edge_litert'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

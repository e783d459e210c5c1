"""The engine: what it opens, what it refuses and how, and that it needs no interpreter."""

import importlib
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.runtime import NativeInterpreter, load
from larq_dense.runtime.engine import Engine, UnsupportedError
from larq_dense.runtime.library import chosen_instruction_set, instruction_sets, why_no_library

NATIVE_TESTS = Path(__file__).resolve().parents[1] / "native"
RANGE: dict[str, Any] = {"scale": 0.5, "zero_point": 3}

pytestmark = pytest.mark.skipif(why_no_library() is not None, reason=str(why_no_library()))


def new_graph() -> Any:
    pytest.importorskip("flatbuffers")
    if str(NATIVE_TESTS) not in sys.path:
        sys.path.insert(0, str(NATIVE_TESTS))
    return importlib.import_module("lce_graph").Graph()


def residual_graph(channels_in: int = 3) -> tuple[Any, int]:
    """Return a graph of an ordinary convolution and a binary one with a shortcut, and its end."""
    graph, rng = new_graph(), np.random.default_rng(0)
    x = graph.input((1, 8, 12, channels_in), np.int8, **RANGE)
    weights = 4 * rng.integers(-31, 32, (32, 3, 3, channels_in))
    filters = graph.constant(weights.astype(np.int8), scale=[2.0**-9] * 32)
    bias = graph.constant(
        (4 * rng.integers(-99, 99, 32) + 2).astype(np.int32), scale=[2.0**-10] * 32
    )
    stem = graph.tensor((1, 8, 12, 32), np.int8, **RANGE)
    graph.convolution([x, filters, bias], stem, 1)
    conv = graph.conv(
        graph.quantize(stem),
        32,
        rng.choice([-1, 1], (32, 3, 3, 32)),
        out="int8",
        multiplier=rng.normal(size=32),
        bias=rng.normal(size=32),
        **RANGE,
    )
    total = graph.builtin(
        "ADD", [stem, conv], (1, 8, 12, 32), np.int8, fusedActivationFunction=0, **RANGE
    )
    return graph, total


@pytest.fixture(scope="module")
def content() -> bytes:
    graph, end = residual_graph()
    model: bytes = graph.build(end)
    return model


def picture(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (1, 8, 12, 3)).astype(np.int8)


def test_it_tells_its_inputs_and_outputs(content: bytes) -> None:
    engine = Engine(content)
    (given,), (wanted,) = engine.inputs, engine.outputs
    assert (given.shape, given.dtype) == ((1, 8, 12, 3), np.dtype(np.int8))
    assert (wanted.shape, wanted.dtype) == ((1, 8, 12, 32), np.dtype(np.int8))
    assert (given.scale, given.zero_point) == (0.5, 3)
    assert engine.instruction_set == instruction_sets()[0]


def test_metadata_is_what_the_file_holds() -> None:
    graph, end = residual_graph()
    graph.metadata["larq_dense"] = b'{"name": "tiny"}'
    engine = Engine(graph.build(end))
    assert engine.metadata("larq_dense") == b'{"name": "tiny"}'
    assert engine.metadata("nothing") is None


@pytest.mark.parametrize("name", instruction_sets() if why_no_library() is None else [])
def test_every_instruction_set_and_number_of_threads_gives_the_same(
    content: bytes, name: str
) -> None:
    (expected,) = Engine(content, instruction_set="portable").run([picture()])
    for threads in (1, 2, 5):
        engine = Engine(content, threads, instruction_set=name)
        assert engine.instruction_set == name
        for _ in range(2):
            np.testing.assert_array_equal(engine.run([picture()])[0], expected)


def test_bytes_that_lie_anywhere_in_memory_are_read_alike(content: bytes) -> None:
    (expected,) = Engine(content).run([picture()])
    for shift in range(1, 17):
        view = memoryview(bytes(shift) + content)[shift:]
        np.testing.assert_array_equal(Engine(view).run([picture()])[0], expected)


def test_many_engines_and_many_threads_at_once(content: bytes) -> None:
    shared = Engine(content, 2)
    expected = [Engine(content).run([picture(seed)])[0] for seed in range(4)]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            own = Engine(content, 2)
            for _ in range(20):
                for engine in (own, shared):
                    np.testing.assert_array_equal(engine.run([picture(seed)])[0], expected[seed])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_runs_it_too(content: bytes) -> None:
    engine = Engine(content, 2)
    (expected,) = engine.run([picture()])
    child = os.fork()
    if child == 0:
        os._exit(0 if (engine.run([picture()])[0] == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_it_cannot_run_is_named() -> None:
    graph, end = residual_graph()
    finer = {"scale": 0.25, "zero_point": 0}  # sums of different ranges need rounding
    other = graph.input((1, 8, 12, 32), np.int8, **finer)
    end = graph.builtin(
        "ADD", [end, other], (1, 8, 12, 32), np.int8, fusedActivationFunction=0, **finer
    )
    with pytest.raises(UnsupportedError, match=r"operator 5 of 5 \(ADD\) is not one that"):
        Engine(graph.build(end))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_file_is_refused(content: bytes, share: float) -> None:
    with pytest.raises(DataError, match=r"cannot open the model: it is (cut|no)|TFL3 is missing"):
        Engine(content[: int(share * len(content))])


def test_an_input_of_another_shape_or_type_is_refused(content: bytes) -> None:
    engine = Engine(content)
    for wrong in (picture()[:, :4], picture().astype(np.float32)):
        with pytest.raises(LarqDenseError, match=r"the model takes int8 \[1, 8, 12, 3\], not"):
            engine.run([wrong])
    with pytest.raises(LarqDenseError, match="takes 1 inputs, not 2"):
        engine.run([picture(), picture()])


def test_the_environment_chooses_the_instruction_set(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in instruction_sets():
        monkeypatch.setenv("LARQ_DENSE_XNOR_ISA", name)
        assert Engine(content).instruction_set == chosen_instruction_set() == name
    monkeypatch.delenv("LARQ_DENSE_XNOR_ISA")
    assert Engine(content).instruction_set == chosen_instruction_set()


def test_arguments_out_of_range_are_refused(content: bytes) -> None:
    for threads in (0, -1, 65):
        with pytest.raises(LarqDenseError, match="num_threads must be 1 to 64"):
            Engine(content, threads)
    with pytest.raises(LarqDenseError, match="instruction_set=mmx names no instruction set"):
        Engine(content, instruction_set="mmx")


def test_an_array_that_is_not_contiguous_is_read_rightly(content: bytes) -> None:
    engine = Engine(content)
    turned = np.ascontiguousarray(picture()[:, :, ::-1])[:, :, ::-1]
    assert not turned.flags.c_contiguous
    np.testing.assert_array_equal(engine.run([turned])[0], engine.run([picture()])[0])


def test_it_is_not_pickled(content: bytes) -> None:
    with pytest.raises(TypeError, match="pickle the file's bytes instead"):
        pickle.dumps(Engine(content))


def test_an_int8_file_needs_neither_interpreter_nor_tensorflow(
    content: bytes, tmp_path: Path
) -> None:
    """A file that maps a picture to logits, in a process where no interpreter can be imported."""
    path = tmp_path / "network.tflite"
    path.write_bytes(content)
    expected = load(path, runtime="native").run(np.zeros((1, 8, 12, 3), np.float32))
    np.save(tmp_path / "expected.npy", expected)
    code = (
        "import sys, numpy as np\n"
        "for name in ('ai_edge_litert', 'tensorflow', 'larq_compute_engine'):\n"
        "    sys.modules[name] = None\n"
        "from larq_dense import runtime\n"
        f"interpreter = runtime.load({str(path)!r})\n"
        "assert type(interpreter) is runtime.NativeInterpreter\n"
        "logits = interpreter.run(np.zeros((1, 8, 12, 3), np.float32))\n"
        f"np.testing.assert_array_equal(logits, np.load({str(tmp_path / 'expected.npy')!r}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_auto_takes_the_engine_for_int8_files(content: bytes) -> None:
    assert isinstance(load(content), NativeInterpreter)

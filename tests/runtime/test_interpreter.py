import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny

from larq_dense import runtime
from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.conversion import to_flatbuffer
from larq_dense.runtime import LceInterpreter, XnorInterpreter, load, read_spec, xnor

INPUT = np.random.default_rng(3).normal(size=(1, tiny.HEIGHT, tiny.WIDTH, 3)).astype(np.float32)
needs_xnor = pytest.mark.skipif(not xnor.available(), reason=xnor.why_unavailable() or "")


@pytest.fixture(scope="module")
def content() -> bytes:
    return tiny.converted()[1].content


@pytest.fixture(scope="module")
def path(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("models") / "tiny.tflite"
    path.write_bytes(content)
    yield path


@pytest.mark.parametrize("kernel", ["default", "reference", "indirect", None])
def test_every_kernel_of_lce_computes_what_keras_computes(content: bytes, kernel: str) -> None:
    model, _ = tiny.converted()
    interpreter = LceInterpreter(content, kernel=kernel)
    expected = model(INPUT).numpy()
    assert interpreter.input_shape == INPUT.shape
    assert interpreter.output_shape == expected.shape
    np.testing.assert_allclose(interpreter.run(INPUT), expected, atol=1e-3 * np.ptp(expected))


@needs_xnor
def test_the_native_runtime_computes_what_keras_computes(path: Path) -> None:
    model, _ = tiny.converted()
    interpreter = load(path, num_threads=2, runtime="xnor")
    expected = model(INPUT).numpy()
    first = interpreter.run(INPUT)
    np.testing.assert_allclose(first, expected, atol=1e-4 * np.ptp(expected))
    interpreter.run(-INPUT)
    np.testing.assert_array_equal(interpreter.run(INPUT), first)


def test_auto_takes_the_native_runtime_where_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(load(path), XnorInterpreter if xnor.available() else LceInterpreter)
    monkeypatch.setattr(xnor, "available", lambda: False)
    assert isinstance(load(path), LceInterpreter)


def test_the_native_runtime_asked_for_but_not_built_is_one_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xnor, "why_unavailable", lambda: "the library was not built.")
    with pytest.raises(LarqDenseError, match="not built"):
        load(path, runtime="xnor")


@pytest.mark.parametrize("kind", ["lce", "auto"])
def test_an_input_of_another_shape_is_refused(path: Path, kind: str) -> None:
    with pytest.raises(
        DataError, match=r"takes an input of \[1, 32, 64, 3\], not \[1, 32, 32, 3\]"
    ):
        load(path, runtime=kind).run(INPUT[:, :, :32])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_cut_file_is_one_sentence(content: bytes, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.tflite is truncated or damaged"):
        load(cut)
    with pytest.raises(DataError, match="truncated or damaged"):
        read_spec(cut)


def test_a_flipped_bit_anywhere_is_found_before_an_interpreter_sees_it(content: bytes) -> None:
    flatbuffer_size = content.index(b"PK\x03\x04")
    for place in np.random.default_rng(0).integers(8, flatbuffer_size, 100).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(DataError, match="truncated or damaged"):
            load(bytes(damaged))


def test_a_flipped_bit_in_the_archive_does_no_harm_or_is_one_sentence(content: bytes) -> None:
    refused = 0
    for bit in range(8 * content.index(b"PK\x03\x04"), 8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert read_spec(bytes(damaged)) == read_spec(content)
        except DataError as error:
            assert "truncated or damaged" in str(error)
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [b"", b"hello", bytes(5000)])
def test_what_is_no_model_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.tflite is not a TFLite model"):
        load(path)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such model file"):
        load(tmp_path / "none.tflite")
    with pytest.raises(DataError, match="cannot read the model"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("deeplabv3_mnv2_pascal_quant.tflite", "does not map one float32 picture"),
        ("selfie_segmentation.tflite", "custom operation Convolution2DTransposeBias"),
        ("mobilenet_v2_1.0_224_quant.tflite", "does not map one float32 picture"),
    ],
)
def test_a_file_of_another_maker_is_one_sentence(
    shared_data: Path, name: str, sentence: str
) -> None:
    with pytest.raises(DataError, match=f"{name} .*{sentence}"):
        load(shared_data / "weights" / name)


def test_a_full_precision_file_runs_too() -> None:
    model = tiny.around()
    interpreter = load(to_flatbuffer(model, INPUT.shape))
    expected = model(INPUT).numpy()
    np.testing.assert_allclose(interpreter.run(INPUT), expected, atol=1e-4)


def test_the_runtime_needs_no_tensorflow(path: Path) -> None:
    """Reading a description never imports it; running needs LiteRT and the native runtime."""
    runs = xnor.available() and "ai_edge_litert" in xnor._interpreter_module().__name__
    code = (
        "import sys, numpy as np\n"
        "from larq_dense import runtime\n"
        f"assert runtime.read_spec({str(path)!r}).name == 'tiny'\n"
        f"if {runs}:\n"
        f"    labels = runtime.Predictor({str(path)!r}).labels(np.zeros((9, 8, 3), np.uint8))\n"
        "    assert labels.shape == (9, 8)\n"
        "assert 'tensorflow' not in sys.modules and 'larq' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_package_offers_what_its_documentation_names() -> None:
    assert all(hasattr(runtime, name) for name in runtime.__all__)

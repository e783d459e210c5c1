"""A new operator is one new file: with `op_abs.cc` the runtime runs ABS.

The library is built by CMake, as C++ users build it; `test_native.py` compares CMake's flags with
those of `build.py`.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from larq_dense.native import build
from larq_dense.runtime import engine, library, xnor
from larq_dense.runtime.engine import Engine, UnsupportedError

if not xnor.available():
    pytest.skip(str(xnor.why_unavailable()), allow_module_level=True)
pytest.importorskip("flatbuffers")
import lce_graph

HERE = Path(__file__).resolve().parent
SHAPE = (1, 5, 7, 3)
RANGES: list[dict[str, Any]] = [
    {"dtype": np.float32},
    {"dtype": np.int8, "scale": 0.5, "zero_point": -128},
    {"dtype": np.int8, "scale": 0.3, "zero_point": 9},
]


def network(tensor: dict[str, Any]) -> bytes:
    """Return a file that computes x + |x|."""
    graph = lce_graph.Graph()
    x = graph.input(SHAPE, **tensor)
    absolute = graph.builtin("ABS", [x], SHAPE, **tensor)
    return graph.build(graph.builtin("ADD", [x, absolute], SHAPE, **tensor))


def values(dtype: type) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype is np.int8:
        return rng.integers(-128, 128, SHAPE).astype(np.int8)
    return rng.normal(size=SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the library of a copy of `native/` that has one file more, and return its path."""
    if build.find_compiler() is None or shutil.which("cmake") is None:
        pytest.skip("this machine has no C++ compiler or no CMake")
    copy = tmp_path_factory.mktemp("extended") / "native"
    shutil.copytree(HERE.parents[1] / "native", copy)
    shutil.copy(HERE / "op_abs.cc", copy / "src")
    for arguments in (["-S", copy, "-B", copy / "build"], ["--build", copy / "build", "-j2"]):
        subprocess.run(["cmake", *arguments], check=True, capture_output=True)
    return next((copy / "build").glob("liblarq_dense_xnor.*"))


@pytest.fixture
def extended_runtime(extended: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the package load that library instead of its own."""
    caches = (library.why_no_library, library.load_library, engine._native)
    for module in (library, xnor):
        monkeypatch.setattr(module, "library_path", lambda: extended)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


def test_the_package_has_no_such_operator() -> None:
    with pytest.raises(UnsupportedError, match="built-in number 101"):
        Engine(network(RANGES[0]))


@pytest.mark.usefixtures("extended_runtime")
@pytest.mark.parametrize("tensor", RANGES)
def test_one_file_adds_it_and_gives_what_tensorflow_lite_gives(tensor: dict[str, Any]) -> None:
    content, x = network(tensor), values(tensor["dtype"])
    stock = xnor.stock(content)
    stock.set_tensor(stock.get_input_details()[0]["index"], x)
    stock.invoke()
    expected = stock.get_tensor(stock.get_output_details()[0]["index"])
    assert (expected != x).any()
    (got,) = Engine(content).run([x])
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(xnor.load(content).run(x), expected)

"""The engine on files that hold every operator that it runs: LCE's answers, and damaged ones."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import engine_files
import numpy as np
import pytest

from larq_dense.runtime import xnor
from larq_dense.runtime.engine import Engine
from larq_dense.runtime.library import instruction_sets, library_path, why_no_library

if why_no_library() is not None:
    pytest.skip(str(why_no_library()), allow_module_level=True)
pytest.importorskip("flatbuffers")


@pytest.mark.parametrize("make", [engine_files.encoder, engine_files.decoder])
def test_every_operator_gives_what_lce_and_the_delegate_give(make: Callable[[], bytes]) -> None:
    lce = pytest.importorskip("larq_compute_engine")
    content = make()
    rng = np.random.default_rng(0)
    picture = rng.integers(-128, 128, (1, 4, 6, 3)).astype(np.int8)
    expected = lce.tflite.python.interpreter.Interpreter(content).predict(picture)
    for name in instruction_sets():
        for threads in (1, 2):
            (got,) = Engine(content, threads, instruction_set=name).run([picture])
            np.testing.assert_array_equal(got, expected, err_msg=name)
            delegate = xnor.load(content, threads, instruction_set=name)
            np.testing.assert_array_equal(delegate.run(picture), expected, err_msg=name)


def test_the_c_interface_is_c_and_gives_the_same(tmp_path: Path) -> None:
    """Compile the example against the header, by a C compiler, and run it."""
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("this machine has no C compiler")
    source = Path(__file__).resolve().parents[2] / "native" / "tools" / "engine_run.c"
    program = tmp_path / "engine_run"
    warnings = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    library = library_path()
    links = [os.fspath(library), f"-Wl,-rpath,{library.parent}"]
    subprocess.run([compiler, *warnings, source, *links, "-o", program], check=True)
    content = engine_files.encoder()
    picture = np.random.default_rng(0).integers(-128, 128, (1, 4, 6, 3)).astype(np.int8)
    (tmp_path / "network.tflite").write_bytes(content)
    (tmp_path / "picture").write_bytes(picture.tobytes())
    files = [tmp_path / name for name in ("network.tflite", "picture", "logits")]
    subprocess.run([program, *files], check=True)
    (expected,) = Engine(content).run([picture])
    assert files[2].read_bytes() == expected.tobytes()

    files[0].write_bytes(content[:999])
    result = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "network.tflite: it is cut short or damaged" in result.stderr

"""The engine on files that hold every operator that it runs: LCE's answers, and damaged ones."""

from collections.abc import Callable

import engine_files
import numpy as np
import pytest

from larq_dense.runtime import xnor
from larq_dense.runtime.engine import Engine
from larq_dense.runtime.library import instruction_sets, why_no_library

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

"""The engine on the published int8 files: LCE's and the delegate's answers on real pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from larq_dense.runtime import xnor
from larq_dense.runtime.engine import Engine
from larq_dense.runtime.library import why_no_library

FILES = sorted((Path(__file__).resolve().parents[2] / "zoo").glob("*/int8/*_int8.tflite"))

pytestmark = [
    pytest.mark.skipif(why_no_library() is not None, reason=str(why_no_library())),
    pytest.mark.skipif(not FILES, reason="no int8 file is published in this checkout's zoo"),
]


def pictures(height: int, width: int) -> list[np.ndarray]:
    """Return three real pictures and one of noise, in all of int8's values."""
    data = pytest.importorskip("skimage.data")
    real = [
        np.asarray(Image.fromarray(each).resize((width, height)), np.int16) - 128
        for each in (data.astronaut(), data.chelsea(), data.coffee())
    ]
    noise = np.random.default_rng(0).integers(-128, 128, (height, width, 3))
    return [each.astype(np.int8)[None] for each in (*real, noise)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_entry_gives_what_lce_and_the_delegate_give(path: Path) -> None:
    lce = pytest.importorskip("larq_compute_engine")
    content = path.read_bytes()
    engine, delegate = Engine(content, 2), xnor.load(content, 2)
    reference = lce.tflite.python.interpreter.Interpreter(content, use_indirect_bgemm=True)
    for picture in pictures(*engine.inputs[0].shape[1:3]):
        (got,) = engine.run([picture])
        np.testing.assert_array_equal(got, reference.predict(picture))
        np.testing.assert_array_equal(got, delegate.run(picture))

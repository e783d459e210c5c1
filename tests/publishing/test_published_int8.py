"""Every entry's published int8 variant: no float in it, half a point from the entry at most."""

import numpy as np
import pytest

from larq_dense import zoo
from larq_dense.conversion import convert
from larq_dense.evaluation.memory import peak_bytes
from larq_dense.publishing.measure import GOLDEN_PICTURE, bundled_picture
from larq_dense.runtime import LceInterpreter, XnorInterpreter, xnor
from larq_dense.runtime.tflite_file import TfliteFile
from larq_dense.zoo import Entry

ENTRIES = [name for name in zoo.list_entries() if zoo.find(name).is_published]


@pytest.fixture(params=ENTRIES)
def entry(request: pytest.FixtureRequest) -> Entry:
    """Return each entry in turn."""
    return zoo.find(request.param)


def test_it_converts_without_a_float_and_every_engine_agrees(entry: Entry) -> None:
    model = zoo.load(entry.name, precision="int8")
    converted = convert(model, images=[bundled_picture(GOLDEN_PICTURE)])
    assert converted.parity is not None
    assert converted.parity.max_steps == 0
    assert converted.content == entry.tflite(int8=True).read_bytes()
    file = TfliteFile.parse(converted.content)
    computed = [tensor for operator in file.operators for tensor in operator.outputs]
    assert {tensor.dtype for tensor in (*file.inputs, *computed)} == {"int8", "int32"}
    published = entry.int8().metrics()
    assert published["memory"]["int8"] == peak_bytes(converted.content)
    assert len(converted.content) == pytest.approx(published["conversion"]["bytes"], rel=0.02)
    if xnor.available():
        engines = XnorInterpreter(converted.content), LceInterpreter(converted.content)
        picture = np.random.default_rng(0).uniform(-1, 1, engines[0].input_shape)
        ours, expected = (engine.run(picture.astype(np.float32)) for engine in engines)
        np.testing.assert_array_equal(ours, expected)


def test_it_costs_half_a_point_at_most_and_saves_memory(entry: Entry) -> None:
    published, variant = entry.metrics(), entry.int8().metrics()
    metric = entry.task().main_metric
    for ours, theirs in zip(variant["accuracy"], published["accuracy"], strict=True):
        assert ours["data"] == theirs["data"]
        assert ours["images"] == theirs["images"]
        assert ours["metrics"][metric] >= theirs["metrics"][metric] - 0.005
    memory = variant["memory"]
    assert memory["int8"] <= 0.4 * memory["default"]

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny

from larq_dense.common.errors import DataError
from larq_dense.runtime import ModelSpec


@pytest.mark.parametrize("kind", ["segmentation", "saliency"])
def test_json_round_trip(kind: str) -> None:
    spec = tiny.spec(kind)
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_outputs_names_and_colours() -> None:
    assert tiny.spec("saliency").num_outputs == 1
    assert tiny.spec().num_outputs == 3
    assert tiny.spec().class_names == ["sky", "road", "tree"]
    expected = [[70, 130, 180], [128, 64, 128], [0, 128, 0]]
    np.testing.assert_array_equal(tiny.spec().palette, np.array(expected, np.uint8))


def test_a_task_describes_its_model() -> None:
    spec = tiny.spec()
    task = SimpleNamespace(name="hand-made", kind="segmentation", classes=spec.classes)
    made = ModelSpec.for_task("tiny", task, spec.preprocessing, spec.description)
    assert made == spec


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "detection"},
        {"kind": "saliency"},
        {"classes": []},
        {"classes": [{"name": "x"}]},
        {"classes": [{"name": "x", "color": [1, 2]}]},
        {"preprocessing": {"height": 3}},
        {"preprocessing": {**tiny.spec().preprocessing.to_dict(), "height": float("inf")}},
        {"classes": [{"name": "x", "color": [1, 2, float("inf")]}]},
        {"preprocessing": None},
    ],
)
def test_a_damaged_description_is_one_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        ModelSpec.from_dict({**tiny.spec().to_dict(), **change})


def test_a_missing_part_is_one_sentence() -> None:
    values = tiny.spec().to_dict()
    del values["kind"]
    with pytest.raises(DataError, match="kind"):
        ModelSpec.from_dict(values)

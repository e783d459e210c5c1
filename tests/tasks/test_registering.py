"""One's own data sets and tasks by decorators, as docs/data.md shows them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from larq_dense import tasks
from larq_dense.common.errors import LarqDenseError
from larq_dense.tasks import data_sets, registry

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what a test registers."""
    monkeypatch.setattr(data_sets, "_data_sets", dict(data_sets._data_sets))
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))


def test_the_documents_data_set_is_read_by_name(checkout: Path, plain_folder: Make) -> None:
    text = (checkout / "docs/data.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "docs/data.md", "exec"), {})
    root = plain_folder("my rooms", {"a": np.resize(np.array([0, 1, 255], np.uint8), (6, 8))})
    task = tasks.get("cityscapes")
    (sample,) = task.samples(root, "all")
    assert sample.encoding.name == "rooms"
    # The floor may be driven on.
    assert task.read_label(sample)[0, :3].tolist() == [1, 0, 255]
    with pytest.raises(LarqDenseError, match="there is a data set 'rooms' already"):
        tasks.register_data_set("rooms")(lambda: data_sets.DataSet(()))


def test_a_task_is_known_by_name() -> None:
    @tasks.register_task("floor")
    def floor() -> tasks.Task:
        classes = tasks.ClassInfo("dry", (0, 0, 0)), tasks.ClassInfo("wet", (0, 0, 255))
        return tasks.Task("floor", "wet floor", classes)

    assert tasks.get("floor") is floor()
    assert "floor" in tasks.names()
    with pytest.raises(LarqDenseError, match="there is a task 'floor' already"):
        tasks.register_task("floor")(floor)

"""The Python of README and guides runs, page by page from top to bottom.

A block that cannot run is preceded by `<!-- skip: next "the reason" -->`, which GitHub hides.
"""

import re
import shutil
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
from PIL import Image

from larq_dense import models, tasks, zoo
from larq_dense.models import registry as model_registry
from larq_dense.tasks import data_sets
from larq_dense.tasks import registry as task_registry

pytest.importorskip("sybil", reason="sybil comes with the extra [test]")

from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

CHECKOUT = Path(__file__).resolve().parents[2]
REGISTRIES = (
    (model_registry, "ENCODERS"),
    (model_registry, "DECODERS"),
    (data_sets, "_data_sets"),
    (task_registry, "_TASKS"),
)
PAGES = [
    path
    for path in (CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md")))
    if re.search(r"^```python", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start in a folder that holds what the pages speak of, and forget what they register."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(CHECKOUT / "docs" / "images" / "cat.jpg", "photo.jpg")
    shutil.copyfile(zoo.find("ecssd").tflite(), "ecssd.tflite")
    shutil.copyfile(zoo.find("ecssd").tflite(int8=True), "ecssd_int8.tflite")
    for module, name in REGISTRIES:
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


def test_there_are_pages_with_python() -> None:
    assert {"README.md", "data.md", "predict.md", "recipe.md"} <= {path.name for path in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
@pytest.mark.usefixtures("workplace")
def test_its_python_runs(page: Path) -> None:
    run(page)


def run(page: Path) -> dict[str, object]:
    document = Document.parse(str(page), PythonCodeBlockParser(), SkipParser())
    for example in document.examples():
        try:
            example.evaluate()
        except SkipTest as skipped:
            assert len(str(skipped)) > 10, f"{page}:{example.line} says no reason"
    return document.namespace


@pytest.mark.usefixtures("workplace")
def test_contributors_examples_work(tmp_path: Path) -> None:
    names = run(CHECKOUT / "CONTRIBUTING.md")
    assert names["model"].output_shape == (None, 64, 96, 2)
    assert len(models.binary_layers(names["model"])) > 4
    for split in ("train", "val"):
        for folder, value in (("pictures", 200), ("labels", 2)):
            (tmp_path / "hall" / split / folder).mkdir(parents=True)
            pixels = np.full((8, 12), value, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "hall" / split / folder / "a.png")
    classes = [tasks.ClassInfo(name, (0, 0, 0)) for name in ("floor", "machine", "person")]
    task = tasks.from_classes("workshop", classes)
    (sample,) = task.samples(tmp_path / "hall", "val")
    assert task.read_label(sample).tolist() == [[2] * 12] * 8


@pytest.mark.usefixtures("workplace")
def test_a_block_that_fails_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('<!-- skip: next "it needs a phone" -->\n\n```python\n1 / 0\n```\n')
    run(page)
    page.write_text("```python\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError):
        run(page)

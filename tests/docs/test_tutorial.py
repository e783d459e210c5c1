"""The tutorial: it runs from the first cell to the last, and its outputs are stored."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("nbclient", reason="nbclient comes with the extra [test]")
pytest.importorskip("ipykernel", reason="ipykernel comes with the extra [test]")

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"


def outputs(notebook: Any) -> list[Any]:
    return [each for cell in notebook.cells for each in cell.get("outputs", [])]


def text_of(notebook: Any) -> str:
    return "".join(each.get("text", "") for each in outputs(notebook))


def pictures_of(notebook: Any) -> list[Image.Image]:
    found = (each.get("data", {}).get("image/png") for each in outputs(notebook))
    return [Image.open(io.BytesIO(base64.b64decode(each))) for each in found if each]


def test_its_outputs_are_stored_and_small() -> None:
    notebook = nbformat.read(NOTEBOOK, 4)
    assert not [each for each in outputs(notebook) if each.output_type == "error"]
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == [
        *range(1, 9)
    ]
    assert "same labels as Keras" in text_of(notebook)
    assert pictures_of(notebook)
    assert NOTEBOOK.stat().st_size < 200_000
    # No folder of somebody's machine.
    assert not re.search(r"/(home|root|work|Users)/", text_of(notebook))


def test_it_runs(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shared_data / "cracks").is_dir():
        pytest.skip(f"the tutorial's pictures are not in {shared_data}")
    monkeypatch.setenv("LARQ_DENSE_DATA", str(shared_data.resolve()))
    monkeypatch.setenv("LARQ_DENSE_TUTORIAL_STEPS", "2")
    monkeypatch.setenv("LARQ_DENSE_TUTORIAL_PICTURES", "3")
    notebook = nbformat.read(NOTEBOOK, 4)
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    text = text_of(notebook)
    assert "2 steps; validation mIoU" in text
    assert "3 pictures; mIoU" in text
    assert float(re.findall(r"same labels as Keras: ([\d.]+) %", text)[0]) >= 99.99
    assert pictures_of(notebook)[0].height >= 256
    assert len(re.findall(r"crack: [\d.]+ % of the pixels", text)) == 3

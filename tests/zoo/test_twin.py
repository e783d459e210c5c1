"""The full-precision twin of an entry: its figures are kept beside the entry's, no weights."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError
from larq_dense.training import Recipe
from larq_dense.zoo import Entry
from larq_dense.zoo.card import card
from larq_dense.zoo.tables import entries_table


@pytest.fixture
def twin_run(tiny: Entry, tiny_run: Path, tmp_path: Path) -> Path:
    """Return a run's folder as `larq-dense train tiny --twin` leaves it; weights do not matter."""
    run = tmp_path / "tiny_twin"
    shutil.copytree(tiny_run, run)
    tiny.recipe().twin().save(run / "recipe.yaml")
    return run


def measured(tiny: Entry) -> dict[str, Any]:
    """Return invented figures of the twin."""
    rows = copy.deepcopy(tiny.metrics()["accuracy"])
    rows[0]["metrics"]["maxf"] = 0.9123
    rows[0]["command"] = "larq-dense evaluate runs/tiny_twin --data people --split val"
    return {"run": "runs/tiny_twin", "accuracy": rows}


def test_the_recipe_differs_by_precision_and_beginning(tiny: Entry) -> None:
    recipe = tiny.recipe().replace(init="tiny")
    twin = recipe.twin()
    assert twin.init is None
    assert twin.model == {**recipe.model, "precision": "float"}
    assert twin.replace(model=recipe.model, init="tiny") == recipe


def test_figures_stand_beside_the_entrys(tiny: Entry, twin_run: Path) -> None:
    assert "The twin has not been trained" in tiny.card()
    zoo.publish(twin_run, "tiny", lambda run: measured(tiny), tiny.folder.parent)
    assert {path.name for path in tiny.twin().folder.iterdir()} == {"recipe.yaml", "metrics.json"}
    text = tiny.card()
    assert text == card(tiny)
    for line in (
        "| MaxF on people (val) | 0.876 | 0.912 |",
        "| MaxF on objects of PASCAL VOC (val, salient_like) | 0.765 | 0.765 |",
        "larq-dense train tiny --twin --data ../shared/data --run runs/tiny_twin",
        "larq-dense evaluate runs/tiny_twin --data people --split val",
    ):
        assert line in text
    assert "| MaxF 0.876 (0.912) |" in entries_table()


def test_a_new_entry_keeps_the_twin_of_its_recipe_only(
    tiny: Entry, tiny_run: Path, twin_run: Path, tmp_path: Path
) -> None:
    zoo.publish(twin_run, "tiny", lambda run: measured(tiny))
    figures = tiny.metrics()
    zoo.publish(tiny_run, "tiny", lambda entry: figures)
    assert "0.912" in tiny.card()
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    Recipe.load(other / "recipe.yaml").replace(seed=7).save(other / "recipe.yaml")
    zoo.publish(other, "tiny", lambda entry: figures)
    assert not tiny.twin().folder.exists()
    assert "The twin has not been trained" in tiny.card()


@pytest.mark.parametrize("change", [{"seed": 7}, {"task": "cityscapes"}, {"batch_size": 3}])
def test_another_full_precision_run_is_refused(
    tiny: Entry, twin_run: Path, change: dict[str, Any]
) -> None:
    Recipe.load(twin_run / "recipe.yaml").replace(**change).save(twin_run / "recipe.yaml")
    with pytest.raises(LarqDenseError, match=r"not the twin of an entry tiny .* use the run as a"):
        zoo.publish(twin_run, "tiny", lambda run: measured(tiny))
    assert not tiny.twin().folder.exists()


def test_a_twin_needs_its_entry(tiny: Entry, twin_run: Path) -> None:
    with pytest.raises(LarqDenseError, match="not the twin of an entry other"):
        zoo.publish(twin_run, "other", lambda run: measured(tiny))

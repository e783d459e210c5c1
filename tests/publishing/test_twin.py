"""The full-precision twin of an entry: its figures are kept beside the entry's, no weights."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from larq_dense.common.errors import LarqDenseError
from larq_dense.publishing import publish
from larq_dense.publishing.card import card
from larq_dense.publishing.plots import draw
from larq_dense.publishing.tables import entries_table
from larq_dense.training import Recipe
from larq_dense.zoo import Entry


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
    quantized = copy.deepcopy(rows)
    quantized[0]["metrics"]["maxf"] = 0.9012
    return {"run": "runs/tiny_twin", "accuracy": rows, "int8": quantized}


def test_the_recipe_differs_by_precision_and_beginning(tiny: Entry) -> None:
    recipe = tiny.recipe().replace(init="tiny")
    twin = recipe.twin()
    assert twin.init is None and recipe.twin("runs/a").init == "runs/a"
    assert twin.model == {**recipe.model, "precision": "float"}
    assert twin.replace(model=recipe.model, init="tiny") == recipe


def test_figures_stand_beside_the_entrys(tiny: Entry, twin_run: Path) -> None:
    assert "The twin has not been trained" in tiny.card()
    publish(twin_run, "tiny", lambda run: measured(tiny), tiny.folder.parent)
    assert {path.name for path in tiny.twin().folder.iterdir()} == {"recipe.yaml", "metrics.json"}
    text = tiny.card()
    assert text == card(tiny)
    for line in (
        "| MaxF on people (val) | 0.876 | 0.912 | 0.901 |",
        "| MaxF on objects of PASCAL VOC (val, salient_like) | 0.765 | 0.765 | 0.765 |",
        "zoo publish runs/tiny_twin tiny",
        f"larq-dense train tiny --twin --data ../shared/data --run {twin_run}",
        "larq-dense evaluate runs/tiny_twin --data people --split val",
    ):
        assert line in text
    assert "| MaxF 0.876 (0.912) |" in entries_table()


def test_the_card_has_a_picture(tiny: Entry, tiny_run: Path, twin_run: Path) -> None:
    draw(tiny)
    assert not (tiny.folder / "accuracy.png").exists(), "no twin, no picture"
    publish(twin_run, "tiny", lambda run: measured(tiny))
    draw(tiny)
    Image.open(tiny.folder / "accuracy.png").verify()
    assert "](accuracy.png)" in tiny.card()
    figures = tiny.metrics()
    Recipe.load(tiny_run / "recipe.yaml").replace(seed=7).save(twin_run / "recipe.yaml")
    publish(twin_run, "tiny", lambda entry: figures)
    assert not (tiny.folder / "accuracy.png").exists(), "it showed the network before"


def test_the_card_shows_how_training_went(tiny: Entry, twin_run: Path) -> None:
    log = "step,loss,score\n10,1.5,0.25\n20,1.2,\n30,1.0,0.5\n"
    (twin_run / "log.csv").write_text(log)
    assert "training.png" not in tiny.card(), "entries published before have no log"
    publish(twin_run, "tiny", lambda run: measured(tiny))
    assert tiny.twin().log.read_text() == log
    draw(tiny)
    Image.open(tiny.folder / "training.png").verify()
    assert "](training.png)" in tiny.card()
    assert "([twin/log.csv](twin/log.csv))" in tiny.card()
    tiny.log.write_text(log)
    assert "([log.csv](log.csv) and [twin/log.csv](twin/log.csv))" in card(tiny)


def test_a_new_entry_keeps_the_twin_of_its_recipe_only(
    tiny: Entry, tiny_run: Path, twin_run: Path, tmp_path: Path
) -> None:
    publish(twin_run, "tiny", lambda run: measured(tiny))
    figures = tiny.metrics()
    publish(tiny_run, "tiny", lambda entry: figures)
    assert "0.912" in tiny.card()
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    Recipe.load(other / "recipe.yaml").replace(seed=7).save(other / "recipe.yaml")
    publish(other, "tiny", lambda entry: figures)
    assert not tiny.twin().folder.exists()
    assert "The twin has not been trained" in tiny.card()


def test_a_twin_goes_through_all_stages(tiny: Entry, tiny_run: Path, tmp_path: Path) -> None:
    """The entry goes on from a run; so does its twin, from that run's twin."""
    recipe = tiny.recipe()
    runs = {name: tmp_path / name for name in ("first", "last", "first_twin", "last_twin")}
    recipes = {"first": recipe.replace(seed=3), "last": recipe.replace(init=str(runs["first"]))}
    recipes["first_twin"] = recipes["first"].twin()
    recipes["last_twin"] = recipes["last"].twin(str(runs["first_twin"]))
    for name, run in runs.items():
        shutil.copytree(tiny_run, run)
        recipes[name].save(run / "recipe.yaml")
    figures = tiny.metrics()
    publish(runs["last"], "tiny", lambda entry: figures)
    publish(runs["last_twin"], "tiny", lambda run: measured(tiny))
    text = tiny.card()
    first, last = (f"--data ../shared/data --run {runs[each]}" for each in list(runs)[2:])
    for line in (
        f"train zoo/tiny/ancestor-first.yaml --twin {first}",
        f"train tiny --twin --init {runs['first_twin']} {last}",
        "each stage of the entry's training in full precision",
    ):
        assert line in text

    recipes["last"].twin().save(runs["last_twin"] / "recipe.yaml")
    publish(runs["last_twin"], "tiny", lambda run: measured(tiny))
    assert f"whereas the entry began with those of {runs['first']}" in tiny.card()

    recipes["last_twin"].save(runs["last_twin"] / "recipe.yaml")
    recipes["first_twin"].replace(seed=4).save(runs["first_twin"] / "recipe.yaml")
    with pytest.raises(LarqDenseError, match="not the twin of an entry tiny"):
        publish(runs["last_twin"], "tiny", lambda run: measured(tiny))


@pytest.mark.parametrize("change", [{"seed": 7}, {"task": "cityscapes"}, {"batch_size": 3}])
def test_another_full_precision_run_is_refused(
    tiny: Entry, twin_run: Path, change: dict[str, Any]
) -> None:
    Recipe.load(twin_run / "recipe.yaml").replace(**change).save(twin_run / "recipe.yaml")
    with pytest.raises(LarqDenseError, match=r"not the twin of an entry tiny .* use the run as a"):
        publish(twin_run, "tiny", lambda run: measured(tiny))
    assert not tiny.twin().folder.exists()


def test_a_twin_needs_its_entry(tiny: Entry, twin_run: Path) -> None:
    with pytest.raises(LarqDenseError, match="not the twin of an entry other"):
        publish(twin_run, "other", lambda run: measured(tiny))

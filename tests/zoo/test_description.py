"""`entry.json`, which the base install reads instead of the recipe."""

import json
import shutil
from pathlib import Path

import pytest

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError
from larq_dense.zoo.description import DESCRIPTION, describe


@pytest.mark.parametrize("name", zoo.list_entries())
def test_it_says_what_recipe_and_task_say(name: str) -> None:
    entry = zoo.find(name)
    kept = json.loads((entry.folder / DESCRIPTION).read_text(encoding="utf-8"))
    # As JSON, which knows no tuples.
    assert kept == json.loads(json.dumps(describe(entry)))


def test_without_it_the_recipe_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "ecssd"
    shutil.copytree(zoo.find("ecssd").folder, folder)
    (folder / DESCRIPTION).unlink()
    found = json.loads(json.dumps(zoo.info(folder)))
    assert found == zoo.info("ecssd")


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "ecssd"
    shutil.copytree(zoo.find("ecssd").folder, folder)
    (folder / DESCRIPTION).write_text("{")
    with pytest.raises(LarqDenseError, match=r"entry\.json is damaged"):
        zoo.info(folder)

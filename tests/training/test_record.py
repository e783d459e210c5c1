"""What a run read is noted, and what is said of its data follows from the notes."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from larq_dense import tasks
from larq_dense.training.recipe import Recipe
from larq_dense.training.record import record
from larq_dense.training.run import Run, find_run
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import data_sets, described, notice, seen

Make = Callable[..., Recipe]


def entry(folder: Path, root: Path, recipe: Recipe) -> Entry:
    """Return a run as it is when its training has begun."""
    recipe.save(folder / "recipe.yaml")
    run = Entry(folder, folder.name)
    notes = record(recipe, tasks.get(recipe.task), root, find_run)
    run.read_file.write_text(json.dumps(notes))
    return run


def recipe(folder: str, **changes: object) -> Recipe:
    source = {"folder": folder, "split": "train"}
    return Recipe.from_dict(
        {
            "name": "mine",
            "task": "cityscapes",
            "input": {"height": 64, "width": 64},
            "data": {"train": [source], "validation": [{**source, "split": "val"}]},
            "crop": [64, 64],
            "epochs": 1,
            **changes,
        }
    )


@pytest.fixture
def root(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a data root with folders that are called like well-known data."""
    for name in ("cityscapes", "objects", "people"):
        shutil.copytree(tiny_data / "people", tmp_path / "data" / name)
        (tmp_path / "data" / name / "classes.yaml").write_text(
            "classes:\n- {name: background, color: [0, 0, 0]}\n"
            "- {name: drivable, color: [1, 1, 1], value: 255}\n"
        )
    return tmp_path / "data"


def test_lists_and_encodings_are_noted(root: Path, tmp_path: Path) -> None:
    run = entry(tmp_path / "run", root, recipe("people"))
    names = hashlib.sha256(b"train_0\ntrain_1").hexdigest()[:16]
    train, val = run.read()
    assert train == {
        "folder": "people",
        "split": "train",
        "layout": None,
        "encoding": "classes.yaml",
        "pictures": 2,
        "names": names,
    }
    assert val["split"] == "val"


@pytest.mark.parametrize("name", ["cityscapes", "objects", "people"])
def test_a_users_folder_has_its_own_name_and_no_claims(
    root: Path, tmp_path: Path, name: str
) -> None:
    run = entry(tmp_path / "run", root, recipe(name))
    assert notice(run) == f"the weights were trained on {name}."
    assert [use.data.source for use in seen(run)] == ["a folder of your own"]


def test_what_a_run_began_with_is_noted_too(root: Path, tmp_path: Path) -> None:
    first = entry(tmp_path / "first", root, recipe("objects"))
    last = entry(tmp_path / "last", root, recipe("people", init=str(first.folder)))
    assert [note["folder"] for note in last.read()] == ["people", "people", "objects", "objects"]
    learning = {"teacher": str(first.folder), "ensemble": [str(last.folder)]}
    taught = entry(tmp_path / "taught", root, recipe("objects", distillation=learning))
    assert {note["folder"] for note in taught.read()} == {"objects", "people"}


def test_known_lists_are_described_whatever_their_folder_is_called(
    root: Path, tmp_path: Path
) -> None:
    run = entry(tmp_path / "run", root, recipe("people"))
    known = data_sets()["cityscapes256"]
    notes = run.read()
    for note in notes:
        note["names"] = known.splits[note["split"]]
    run.read_file.write_text(json.dumps(notes))
    assert described(run, "people", "train") == known
    assert "of Cityscapes they saw the train split only" in notice(run)


def test_a_published_layout_is_called_by_its_name(tmp_path: Path, root: Path) -> None:
    run = entry(tmp_path / "run", root, recipe("people"))
    notes = run.read()
    notes[0]["layout"] = "Cityscapes"
    run.read_file.write_text(json.dumps(notes))
    assert "trained on Cityscapes; of Cityscapes they saw the train" in notice(run)


def test_without_notes_the_folders_name_decides(tmp_path: Path) -> None:
    recipe("people").save(tmp_path / "recipe.yaml")
    run = Entry(tmp_path, "old")
    assert Run(tmp_path).read() == []
    assert "GRAZ-01" in described(run, "shared/people", "train").source
    assert "they never saw Cityscapes" in notice(run)


def test_descriptions_fit_the_real_data(shared_data: Path) -> None:
    for name, known in data_sets().items():
        folder = name.replace("idd_lite_", "idd_lite/")
        if not (shared_data / folder / "images").is_dir():
            continue
        for split, names in known.splits.items():
            lines = sorted((shared_data / folder / f"{split}.txt").read_text().split("\n"))
            text = "\n".join(line for line in lines if line)
            assert hashlib.sha256(text.encode()).hexdigest()[:16] == names, (name, split)

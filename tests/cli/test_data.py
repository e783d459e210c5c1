"""`larq-dense data check` as a person meets it."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a plain folder of two CamVid frames."""
    root = tmp_path / "camvid"
    for place in ("images", "masks"):
        (root / place).mkdir(parents=True)
    mask = np.resize([0, 10, 1, 9, 2, 8, 3, 7, 4, 6, 5], (6, 11))
    for stem in "ab":
        pixels = np.arange(6 * 11 * 3, dtype=np.uint8).reshape(6, 11, 3)
        Image.fromarray(pixels).save(root / f"images/{stem}.jpg")
        Image.fromarray(mask.astype(np.uint8)).save(root / f"masks/{stem}.png")
    (root / "train.txt").write_text("a\n")
    (root / "val.txt").write_text("b\n")
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])


def test_sound_folder(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "out/sheet.png"
    result = run(folder, "--sheet", sheet)
    assert result.exit_code == 0, result.output
    assert "train 1, val 1" in result.output
    assert "road" in result.output
    assert "No problems found." in result.output
    assert Image.open(sheet).format == "PNG"


def test_json_is_one_document(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    result = run(folder, "--json", "--sheet", sheet)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["usable"] == 2
    assert found["splits"] == {"train": 1, "val": 1}
    assert {"name": "road", "share": pytest.approx(1 / 11), "images": 2} in found["classes"]
    assert found["sheet"] == str(sheet)
    assert found["problems"] == found["warnings"] == []


def test_nothing_is_written_unasked(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    before = sorted(folder.rglob("*"))
    with contextlib.chdir(place):
        assert run(folder).exit_code == 0
    assert not list(place.iterdir())
    assert sorted(folder.rglob("*")) == before


def test_problems_are_printed_and_exit_with_1(folder: Path, tmp_path: Path) -> None:
    (folder / "masks/b.png").unlink()
    cut = folder / "images/a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    sheet = tmp_path / "sheet.png"
    result = run(folder, "--sheet", sheet)
    assert result.exit_code == 1
    assert "a.jpg: image file is truncated" in result.output
    assert "b.jpg has no mask" in result.output
    assert "Found 2 errors." in result.output
    assert not sheet.exists()
    as_json = run(folder, "--sheet", sheet, "--json")
    assert as_json.exit_code == 1
    assert len(json.loads(as_json.stdout)["problems"]) == 2


def test_many_problems_are_cut_short(folder: Path, tmp_path: Path) -> None:
    (folder / "train.txt").write_text("".join(f"gone{index}\n" for index in range(30)))
    result = run(folder, "--sheet", tmp_path / "sheet.png")
    assert "Error: names without a picture (30)" in result.output
    assert result.output.count("has no image") == 10
    assert "… and 20 more" in result.output
    assert "Found 30 errors." in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such folder: nowhere."),
        (["x" * 5000], "File name too long; use a shorter name."),
        (["FOLDER", "--task", "camvit"], "unknown task 'camvit'; did you mean camvid"),
        (["FOLDER", "--task", "ecssd"], "the task ecssd cannot use the labels"),
        (["FOLDER", "--labels", "camvit"], "unknown label encoding 'camvit'"),
        (["FOLDER/images"], "in no layout that can be read here"),
        (["FOLDER", "--sheet", "FOLDER/train.txt/sheet.png"], "cannot write"),
    ],
)
def test_mistakes_get_one_sentence(folder: Path, arguments: list[str], message: str) -> None:
    result = run(*[text.replace("FOLDER", str(folder)) for text in arguments])
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


def test_usage_errors_exit_with_2() -> None:
    assert run().exit_code == 2
    assert run("DIR", "--nonsense").exit_code == 2


def test_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "larq-dense data check camvid/ --sheet camvid.png" in result.output

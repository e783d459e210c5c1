import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense import zoo
from larq_dense.cli import main
from larq_dense.common.images import overlay
from larq_dense.conversion import to_flatbuffer
from larq_dense.runtime import Predictor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    tiny.converted()[1].save(path)
    return str(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, pixels in zip(("a.png", "b.jpg"), tiny.pictures(), strict=True):
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


def one_sentence(result: Result, exit_code: int = 1) -> str:
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.stderr
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
    return line


def test_overlays_and_masks_are_what_the_predictor_says(
    model: str, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    result = run(model, photos, "--output", out, "--save", "overlay", "--save", "mask")
    assert result.exit_code == 0, result.output
    names = ["a_mask.png", "a_overlay.png", "b_mask.png", "b_overlay.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    predictor = Predictor(model)
    for path in (photos / "a.png", photos / "b.jpg"):
        labels = predictor.labels(path)
        with Image.open(out / f"{path.stem}_mask.png") as mask:
            np.testing.assert_array_equal(np.asarray(mask), labels)
            np.testing.assert_array_equal(
                np.asarray(mask.convert("RGB")), predictor.spec.palette[labels]
            )
        pixels = np.asarray(Image.open(path).convert("RGB"))
        written = np.asarray(Image.open(out / f"{path.stem}_overlay.png"))
        np.testing.assert_array_equal(written, overlay(pixels, labels, predictor.spec.palette))


def test_json_is_all_that_is_printed_and_nothing_is_written(
    model: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(model, photos / "*.png", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["task"] == "hand-made"
    (row,) = document["images"]
    assert (row["width"], row["height"]) == (50, 40)
    labels = Predictor(model).labels(photos / "a.png")
    expected = {name: (labels == index).mean() for index, (name, _) in enumerate(tiny.CLASSES)}
    assert row["shares"] == pytest.approx(expected)
    assert "overlay" not in row
    assert not (tmp_path / "predictions").exists()


def test_files_go_to_a_folder_of_their_own_by_default(
    model: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(model, "photos/a.png").exit_code == 0
    assert (tmp_path / "predictions" / "a_overlay.png").is_file()


def test_pictures_of_the_same_name_do_not_overwrite_each_other(
    model: str, photos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(tiny.pictures()[1]).save(other / "a.png")
    result = run(model, photos / "a.png", other / "a.png", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "out").iterdir()}
    assert sizes == {"a_overlay.png": (50, 40), "a-2_overlay.png": (64, 32)}


def test_a_made_up_name_may_be_a_pictures_own(model: str, photos: Path, tmp_path: Path) -> None:
    for name in ("c-2.png", "c.jpg", "c.png"):
        shutil.copy(photos / "a.png", photos / name)
    result = run(model, photos, "--output", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    written = [row["overlay"] for row in json.loads(result.stdout)["images"]]
    assert len(set(written)) == len(written) == 5
    assert len(list((tmp_path / "out").iterdir())) == 5


@pytest.mark.parametrize("kind", ["truncated", "text", "missing"])
def test_a_bad_picture_is_named_and_the_others_go_on(
    model: str, photos: Path, tmp_path: Path, kind: str
) -> None:
    bad = photos / "bad.jpg"
    if kind == "truncated":
        bad.write_bytes((photos / "b.jpg").read_bytes()[:-300])
    elif kind == "text":
        bad.write_text("no picture")
    result = run(model, bad, photos / "a.png", "--output", tmp_path / "out", "--json")
    assert "1 of 2 pictures could not be read" in one_sentence(result)
    (warning,) = (line for line in result.stderr.splitlines() if line.startswith("Warning: "))
    assert "bad.jpg" in warning
    document = json.loads(result.stdout)
    assert [Path(row["image"]).name for row in document["images"]] == ["a.png"]
    assert [Path(row["image"]).name for row in document["failed"]] == ["bad.jpg"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_overlay.png"]


@pytest.mark.parametrize(
    ("mode", "size"),
    [("L", (9, 7)), ("RGBA", (9, 7)), ("I;16", (9, 7)), ("RGB", (1, 1)), ("1", (1, 3))],
)
def test_unusual_pictures_are_labelled(
    model: str, tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "odd.png"
    picture = Image.effect_noise(size, 90)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) << 8)
    else:
        picture = picture.convert(mode)
    picture.save(path)
    result = run(model, path, "--output", tmp_path, "--save", "mask")
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "odd_mask.png").size == size


def test_a_file_without_classes_takes_an_entrys(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(to_flatbuffer(tiny.around(), (1, tiny.HEIGHT, tiny.WIDTH, 3)))
    assert "--entry" in one_sentence(run(bare, photos, "--json"))
    entry = SimpleNamespace(spec=tiny.spec)
    monkeypatch.setattr(zoo, "find", lambda name: {"tiny": entry}[name])
    result = run(bare, photos, "--entry", "tiny", "--json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["images"][0]["shares"]) == ["sky", "road", "tree"]


def test_an_entry_beside_an_entry_is_a_usage_error(photos: Path) -> None:
    result = run("ecssd", photos, "--entry", "ecssd")
    assert result.exit_code == 2
    assert "--entry is for a .tflite file" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{model}", "{folder}"], "holds no picture"),
        (["{model}", "{folder}/*.png"], "no file matches"),
        (["{folder}/none.tflite", "{photos}"], "no such model file"),
        (["ecsd", "{photos}"], "unknown zoo entry 'ecsd'; did you mean ecssd"),
        (["{model}", "{photos}", "--output", "{model}/out"], "cannot write"),
    ],
)
def test_a_mistake_is_one_sentence(
    model: str, photos: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    filled: list[Any] = [
        each.format(model=model, folder=folder, photos=photos) for each in arguments
    ]
    assert sentence in one_sentence(run(*filled))


def test_help_shows_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "larq-dense predict ecssd" in result.stdout


def test_no_picture_is_a_usage_error(model: str) -> None:
    assert run(model).exit_code == 2

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.special
import tiny_models as tiny
from click.testing import CliRunner, Result
from PIL import Image, features

from larq_dense import zoo
from larq_dense.cli import main
from larq_dense.common.images import overlay, read_image
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
    assert "1 of 2 pictures could not be labelled" in one_sentence(result)
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


def noisy(path: Path, size: tuple[int, int] = (50, 40), **options: Any) -> Path:
    Image.effect_noise(size, 90).convert("RGB").save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one picture, a.jpg."""
    (tmp_path / "in").mkdir()
    noisy(tmp_path / "in" / "a.jpg")
    return tmp_path / "in"


def labelled(result: Result) -> list[str]:
    return [Path(row["image"]).name for row in json.loads(result.stdout)["images"]]


def test_kinds_that_cannot_be_read_are_named(model: str, folder: Path) -> None:
    for name, content in {
        "b.heic": b"\0\0\0\x18ftypheic" + bytes(40),
        "c.nef": b"no picture",
        "d.jxl": b"\xff\x0a",
        "e.png": b"",
    }.items():
        (folder / name).write_bytes(content)
    (folder / "f.jpg").mkdir()
    (folder / "g.jpg").symlink_to("nowhere")
    (folder / "h.jpg").symlink_to("h.jpg")
    result = run(model, folder, "--json")
    assert "7 of 8 pictures could not be labelled" in one_sentence(result)
    assert labelled(result) == ["a.jpg"]
    for name in ("b.heic", "c.nef", "d.jxl", "e.png", "f.jpg", "g.jpg", "h.jpg"):
        (line,) = (each for each in result.stderr.splitlines() if f"/{name}" in each)
        assert line.startswith("Warning: ")


@pytest.mark.parametrize("name", ["d.jfif", "e.gif", "f.TIF", "g.avif", "h", "i.backup"])
def test_pictures_are_told_by_name_or_content(model: str, folder: Path, name: str) -> None:
    form = {"gif": "GIF", "tif": "TIFF", "avif": "AVIF"}.get(name.lower()[2:], "JPEG")
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    noisy(folder / name, format=form)
    result = run(model, folder, "--json")
    assert result.exit_code == 0, result.output
    assert labelled(result) == ["a.jpg", name]


def test_what_is_passed_over_is_said(model: str, folder: Path) -> None:
    for name in ("._a.jpg", ".DS_Store", "classes.yaml"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    (folder / "2023").mkdir()
    os.mkfifo(folder / "pipe")
    result = run(model, folder, "--json")
    assert result.exit_code == 0, result.output
    assert labelled(result) == ["a.jpg"]
    notes = [line for line in result.stderr.splitlines() if line.startswith("Note: ")]
    assert any(".DS_Store, ._a.jpg, classes.yaml and 1 more" in note for note in notes)
    assert any("2023" in note and "**/*.jpg" in note for note in notes)


def test_a_pipe_in_a_folder_is_not_waited_for(model: str, folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    result = run(model, folder, "--json")
    assert result.exit_code == 0, result.output
    assert "passed over pipe.jpg, which are pipes or devices" in result.stderr


@pytest.mark.parametrize("name", ["[examples]", "a[1]", "what?", "*", "[", "{a,b}"])
@pytest.mark.parametrize("pattern", ["", "/*.jpg", "/a.jpg", "/[a].jpg"])
def test_a_name_with_brackets_is_no_pattern(
    model: str, tmp_path: Path, name: str, pattern: str
) -> None:
    (tmp_path / name).mkdir()
    noisy(tmp_path / name / "a.jpg")
    result = run(model, f"{tmp_path}/{name}{pattern}", "--json")
    assert result.exit_code == 0, result.output
    assert labelled(result) == ["a.jpg"]


def test_brackets_are_a_pattern_where_no_such_name_is(model: str, folder: Path) -> None:
    for name in ("b.jpg", "[ab].jpg"):
        shutil.copy(folder / "a.jpg", folder / name)
    assert labelled(run(model, f"{folder}/[ab].jpg", "--json")) == ["[ab].jpg"]
    (folder / "[ab].jpg").unlink()
    assert labelled(run(model, f"{folder}/[ab].jpg", "--json")) == ["a.jpg", "b.jpg"]


def test_folders_below_are_searched_by_two_stars_even_with_a_loop(model: str, folder: Path) -> None:
    (folder / "x" / "y").mkdir(parents=True)
    shutil.copy(folder / "a.jpg", folder / "x" / "y" / "b.jpg")
    (folder / "x" / "loop").symlink_to(folder)
    result = run(model, f"{folder}/**/*.jpg", "--json")
    assert result.exit_code == 0, result.output
    assert labelled(result) == ["a.jpg", "b.jpg"]


KINDS = ("overlay", "mask", "cutout", "probability", "npy")


def test_results_beside_their_pictures_are_not_labelled(model: str, folder: Path) -> None:
    noisy(folder / "a.png")
    saved = [each for kind in KINDS for each in ("--save", kind)]
    first = run(model, folder, "--output", folder, *saved)
    assert first.exit_code == 0, first.output
    files = sorted(each.name for each in folder.iterdir())
    for argument in (folder, folder / "*.png", folder / "*"):
        again = run(model, argument, "--output", folder, *saved)
        assert again.exit_code == 0, again.output
        assert "which an earlier run wrote" in again.stderr
        assert sorted(each.name for each in folder.iterdir()) == files


def test_no_picture_is_written_over(model: str, folder: Path) -> None:
    other = noisy(folder / "a_overlay.png")
    before = other.read_bytes()
    result = run(model, folder / "a.jpg", other, "--output", folder)
    assert result.exit_code == 0, result.output
    assert other.read_bytes() == before
    assert (folder / "a-2_overlay.png").is_file()


@pytest.mark.parametrize("kind", ["directory", "long"])
def test_a_name_that_cannot_be_written_does_not_end_the_batch(
    model: str, folder: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    name = "b.jpg"
    if kind == "directory":
        (out / "b_overlay.png").mkdir(parents=True)
        (out / "b_overlay.png" / "kept").touch()
    else:
        name = "b" * 250 + ".jpg"
    shutil.copy(folder / "a.jpg", folder / name)
    shutil.copy(folder / "a.jpg", folder / "c.jpg")
    result = run(model, folder, "--output", out)
    assert "1 of 3 pictures could not be labelled" in one_sentence(result)
    (warning,) = (line for line in result.stderr.splitlines() if line.startswith("Warning: "))
    assert "cannot write" in warning and "_overlay.png" in warning
    written = {each.name for each in out.iterdir()} - {"b_overlay.png"}
    assert written == {"a_overlay.png", "c_overlay.png"}


def test_a_long_name_is_written_where_it_fits(model: str, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "a.jpg", folder / ("ä" * 100 + "b" * 40 + ".jpg"))
    result = run(model, folder, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("name", [b"a\xff\xfe.jpg", b"two\nlines.jpg", b"tab\t\x1b[31m.jpg"])
@pytest.mark.parametrize("bad", [False, True])
def test_odd_names_are_shown_on_one_line(
    model: str, tmp_path: Path, name: bytes, bad: bool
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    if bad:
        path.write_bytes(b"no picture")
    else:
        noisy(path)
    done = subprocess.run(
        [sys.executable, "-m", "larq_dense.cli", "predict", model, folder, "--output", folder],
        capture_output=True,
    )
    assert done.returncode == int(bad), done.stderr
    assert b"Traceback" not in done.stderr
    if not bad:
        lines = done.stdout.decode().splitlines()
        assert len(lines) == 2 and lines[1].isprintable()
        assert len(list(folder.iterdir())) == 2
    document = json.loads(run(model, folder, "--json").stdout)
    rows = document["images"] or document["failed"]
    assert os.fsencode(rows[0]["image"]) == os.fsencode(path)


def test_standard_input_and_output(model: str, folder: Path, monkeypatch: Any) -> None:
    result = CliRunner().invoke(
        main,
        ["predict", model, "-", "--save", "mask", "--output", "-"],
        input=(folder / "a.jpg").read_bytes(),
    )
    assert result.exit_code == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout_bytes)) as mask:
        np.testing.assert_array_equal(np.asarray(mask), Predictor(model).labels(folder / "a.jpg"))
    for more in (["--save", "overlay"], ["--json"], [str(folder / "a.jpg")]):
        assert run(model, "-", "--save", "mask", "--output", "-", *more).exit_code == 2


@pytest.mark.parametrize(("format", "name"), [("jpg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_overlays_come_in_the_format_asked_for(
    model: str, folder: Path, tmp_path: Path, format: str, name: str
) -> None:
    result = run(model, folder, "--format", format, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out" / f"a_overlay.{format}") as written:
        assert written.format == name
        predictor = Predictor(model)
        pixels = read_image(folder / "a.jpg")
        expected = overlay(pixels, predictor.labels(pixels), predictor.spec.palette)
        assert abs(np.asarray(written.convert("RGB")).astype(int) - expected).mean() < 25


def test_probabilities_are_written_deep_and_whole(model: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(model, folder, "--save", "probability", "--save", "npy", "--output", out)
    assert result.exit_code == 0, result.output
    expected = Predictor(model).probabilities(folder / "a.jpg")
    whole = np.load(out / "a_probability.npy", allow_pickle=False)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    for index, (name, _) in enumerate(tiny.CLASSES):
        with Image.open(out / f"a_probability_{name}.png") as deep:
            values = np.asarray(deep, np.float64)
        np.testing.assert_allclose(values / 65535, expected[..., index], atol=1 / 65535)
    assert len(list(out.iterdir())) == 1 + len(tiny.CLASSES)


def test_a_threshold_leaves_unsure_pixels_out(model: str, folder: Path, tmp_path: Path) -> None:
    predictor = Predictor(model)
    top = predictor.probabilities(folder / "a.jpg").max(-1)
    threshold = float(np.median(top))
    options = ("--threshold", threshold, "--save", "mask", "--output", tmp_path, "--json")
    result = run(model, folder, *options)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a_mask.png") as mask:
        labels = np.asarray(mask)
    np.testing.assert_array_equal(labels == 255, top < threshold)
    (row,) = json.loads(result.stdout)["images"]
    assert sum(row["shares"].values()) == pytest.approx((labels != 255).mean())


@pytest.mark.parametrize("options", [("--tile", "40"), ("--tta",), ("--tile", "40", "--tta")])
def test_tiles_and_averages_are_the_predictors(
    model: str, folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = run(model, folder, "--save", "npy", "--json", "--output", tmp_path, *options)
    assert result.exit_code == 0, result.output
    tile = 40 if "--tile" in options else None
    prediction = Predictor(model, tile=tile, tta="--tta" in options).predict(folder / "a.jpg")
    found = np.load(tmp_path / "a_probability.npy")
    np.testing.assert_array_equal(found, prediction.probabilities())
    assert np.abs(found - Predictor(model).probabilities(folder / "a.jpg")).max() > 0.01
    (row,) = json.loads(result.stdout)["images"]
    name = tiny.CLASSES[1][0]
    assert row["scores"][name]["mean"] == pytest.approx(found[..., 1].mean(), rel=1e-4)


def test_a_tile_that_is_too_small_is_one_sentence(model: str, folder: Path) -> None:
    assert "a tile has 32 columns or more, not 5" in one_sentence(run(model, folder, "--tile", 5))


def test_scores_of_each_class_are_in_the_json(model: str, folder: Path) -> None:
    (row,) = json.loads(run(model, folder, "--json").stdout)["images"]
    expected = scipy.special.softmax(Predictor(model).logits(folder / "a.jpg"), axis=-1)
    for index, (name, _) in enumerate(tiny.CLASSES):
        assert row["scores"][name]["mean"] == pytest.approx(expected[..., index].mean(), rel=1e-4)
        assert row["scores"][name]["max"] == pytest.approx(expected[..., index].max(), rel=1e-4)


def test_a_cut_out_keeps_the_classes_named(model: str, folder: Path, tmp_path: Path) -> None:
    options = ("--save", "cutout", "--keep", "road", "--output", tmp_path)
    assert run(model, folder, *options).exit_code == 0
    with Image.open(tmp_path / "a_cutout.png") as cut:
        assert cut.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(cut.convert("RGB")), read_image(folder / "a.jpg"))
        assert np.ptp(np.asarray(cut)[..., 3]) > 0


@pytest.mark.parametrize("background", ["white", "#0f08", "blur", "{picture}"])
def test_a_background_stands_behind_a_cut_out(
    model: str, folder: Path, tmp_path: Path, background: str
) -> None:
    picture = noisy(tmp_path / "behind.png")
    asked = background.format(picture=picture)
    result = run(model, folder, "--background", asked, "--format", "jpg", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a_cutout.jpg") as written:
        assert (written.size, written.mode) == ((50, 40), "RGB")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--background", "nowhere.png"], "no colour, not 'blur', and no picture"),
        (["--save", "cutout", "--keep", "raod"], "unknown class 'raod'; did you mean road"),
        (["--save", "cutout", "--format", "jpg"], "JPEG has no transparency"),
    ],
)
def test_a_mistake_about_cut_outs_is_one_sentence(
    model: str, folder: Path, options: list[str], sentence: str
) -> None:
    assert sentence in one_sentence(run(model, folder, *options))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{folder}", "--save", "mask", "--background", "red"], "add --save cutout"),
        (["{folder}", "--keep", "road"], "add --save cutout"),
        (["{folder}", "--smooth", "0.5"], "--smooth is for video"),
        (["{folder}", "--threshold", "nan"], "nan is no finite number"),
        (["a.mp4", "--smooth", "nan"], "nan is no finite number"),
        (["a.mp4", "--save", "mask"], "a video gives an overlay"),
        (["-", "-"], "names standard input once"),
    ],
)
def test_an_option_that_would_change_nothing_is_a_usage_error(
    model: str, folder: Path, arguments: list[str], sentence: str
) -> None:
    result = run(model, *(each.format(folder=folder) for each in arguments))
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_an_empty_name_is_a_sentence(model: str) -> None:
    assert "a picture's name is empty" in one_sentence(run(model, ""))


def test_videos_in_a_folder_are_said(model: str, folder: Path) -> None:
    (folder / "clip.mp4").write_bytes(b"")
    result = run(model, folder, "--json")
    assert result.exit_code == 0
    assert "passed over clip.mp4, which are videos: name them" in result.stderr


def test_many_pictures_keep_their_order(model: str, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    content = noisy(tmp_path / "one.png", (9, 7)).read_bytes()
    names = [f"{index:04}.png" for index in range(300)]
    for name in names:
        (folder / name).write_bytes(content)
    result = run(model, folder, "--json")
    assert result.exit_code == 0, result.output
    assert labelled(result) == names


def test_a_name_that_is_too_long_is_a_sentence(model: str) -> None:
    assert "1 of 1 pictures" in one_sentence(run(model, "x" * 5000))

"""Pictures in memory."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from larq_dense import tasks
from larq_dense.common.errors import DataError
from larq_dense.tasks.check import check
from larq_dense.tasks.folder import Folder
from larq_dense.training import pictures as module
from larq_dense.training.pictures import (
    Picture,
    check_labelled,
    check_teaching,
    class_shares,
    load_training,
    load_validation,
)
from larq_dense.training.recipe import Recipe

Make = Callable[..., Recipe]


@pytest.fixture
def bands(tmp_path: Path, write_bands: Callable[..., Path]) -> Path:
    write_bands(tmp_path / "bands", train=3, validation=4)
    return tmp_path


@pytest.mark.parametrize("damaged", [["p01"], ["p00", "p01", "p02"]])
def test_truncated_pictures_are_refused_by_name(
    make_recipe: Make, bands: Path, damaged: list[str]
) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    for stem in damaged:
        path = bands / "bands" / "images" / f"{stem}.jpg"
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="cannot read the image") as refused:
        load_training(samples, task)
    assert all(f"{stem}.jpg" in str(refused.value) for stem in damaged)
    assert str(refused.value).count(". ") == 0, "one sentence"


def test_of_many_damaged_pictures_the_first_are_named(make_recipe: Make, bands: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = [
        *recipe.read_samples(task, bands, recipe.data.train[0]),
        *recipe.read_samples(task, bands, recipe.data.validation[0]),
    ]
    for sample in samples:
        sample.image.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"7 pictures or masks are wrong: .*data check"):
        load_training(samples, task)


def test_a_wrong_label_names_its_file(make_recipe: Make, bands: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    Image.fromarray(np.full((40, 72), 9, np.uint8)).save(bands / "bands" / "masks" / "p02.png")
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    with pytest.raises(DataError, match=r"p02\.png"):
        load_training(samples, task)


def test_repeats_share_memory(make_recipe: Make, bands: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    source = recipe.data.train[0].model_copy(update={"repeat": 3})
    pictures = load_training(recipe.read_samples(task, bands, source), task)
    assert len(pictures) == 9
    assert len({id(picture) for picture in pictures}) == 3


def test_longest_side(make_recipe: Make, bands: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    full, limited = load_training(samples, task)[0], load_training(samples, task, 36)[0]
    assert limited.pixels.shape == (20, 36, 3)
    assert limited.label.shape == (20, 36)
    assert set(np.unique(limited.label)) <= set(np.unique(full.label)), "labels are never mixed"
    assert load_training(samples, task, 100)[0].pixels.shape == full.pixels.shape


def test_validation_pictures_are_spread_and_keep_their_labels_size(
    make_recipe: Make, bands: Path
) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = recipe.read_samples(task, bands, recipe.data.validation[0])
    every = load_validation(samples, task, recipe.preprocessing)
    some = load_validation(samples, task, recipe.preprocessing, 2)
    assert [picture.pixels.shape for picture in some] == [(32, 64, 3)] * 2
    assert [picture.label.shape for picture in some] == [(40, 72)] * 2
    assert np.array_equal(some[1].label, every[2].label)
    expected = recipe.preprocessing(samples[0].image)[0]
    assert np.array_equal(recipe.preprocessing.normalize(every[0].pixels), expected)


def test_class_shares() -> None:
    label = np.array([[0, 0, 1], [2, 255, 0]], np.uint8)
    picture = Picture(np.zeros((2, 3, 3), np.uint8), label)
    assert class_shares([picture], 3) == pytest.approx([0.6, 0.2, 0.2])


@pytest.mark.parametrize(
    ("free", "longest_side", "said"),
    [
        (3 * 4 * 40 * 72, None, None),
        (3 * 4 * 40 * 72 - 1, None, "set data.longest_side to 32 or less"),
        (3 * 4 * 40 * 72 // 4, 36, None),
        (100, None, "are free; train on fewer"),
    ],
)
def test_more_than_memory_holds_is_refused_before_it_is_read(
    make_recipe: Make,
    bands: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    longest_side: int | None,
    said: str | None,
) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    monkeypatch.setattr(module, "available_memory", lambda: free)
    if said is None:
        assert len(load_training(samples * 2, task, longest_side)) == 6
        return
    monkeypatch.setattr(module, "read_image", None)
    with pytest.raises(DataError, match=f"the 3 training pictures need .*{said}"):
        load_training(samples * 2, task, longest_side)


def test_what_memory_is_needed_is_what_is_taken(make_recipe: Make, bands: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    for longest_side in (None, 36):
        pictures = load_training(samples, task, longest_side)
        taken = sum(each.pixels.nbytes + each.label.nbytes for each in pictures)
        assert module._bytes_in_memory([(40, 72)] * 3, longest_side) == taken


def _smear(root: Path, *stems: str) -> None:
    """Save masks as a smooth resizing leaves them, with classes between their neighbours."""
    rows, columns = np.mgrid[:80, :144]
    disc = np.where((rows - 40) ** 2 + (columns - 72) ** 2 < 1000, 2, 0).astype(np.uint8)
    soft = Image.fromarray(disc).resize((72, 40), Image.Resampling.BILINEAR)
    for stem in stems:
        soft.save(root / "bands/masks" / f"{stem}.png")


def _turn(root: Path, *stems: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    for stem in stems:
        path = root / "bands/images" / f"{stem}.jpg"
        Image.open(path).save(path, exif=exif)


@pytest.mark.parametrize(
    ("spoil", "said"), [(_smear, "are ramps of values"), (_turn, "different EXIF orientations")]
)
def test_what_data_check_refuses_is_refused(
    make_recipe: Make, bands: Path, spoil: Callable[..., None], said: str
) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    spoil(bands, "p00", "p01", "p02", "p03")
    messages = [problem.message for problem in check(Folder.open(bands / "bands"))[0].problems]
    training = recipe.read_samples(task, bands, recipe.data.train[0])
    with pytest.raises(DataError, match=f"3 pictures or masks are wrong.*{said}.*data check"):
        load_training(training, task)
    validation = recipe.read_samples(task, bands, recipe.data.validation[0])
    with pytest.raises(DataError) as refused:
        load_validation(validation, task, recipe.preprocessing)
    assert str(refused.value) in messages and "p03" in str(refused.value)


def test_one_doubtful_frame_among_many_is_a_warning(
    make_recipe: Make,
    tmp_path: Path,
    write_bands: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_bands(tmp_path / "bands", train=100)
    recipe = make_recipe()
    task = recipe.get_task(tmp_path)
    _turn(tmp_path, "p07")
    with caplog.at_level(logging.WARNING, "larq_dense"):
        load_training(recipe.read_samples(task, tmp_path, recipe.data.train[0]), task)
    assert "p07.jpg" in caplog.text


def _pictures(*labels: int) -> list[Picture]:
    pixels = np.zeros((1, len(labels), 3), np.uint8)
    return [Picture(pixels, np.array([labels], np.uint8), frozenset(labels))]


def _samples(task: tasks.Task) -> list[tasks.Sample]:
    return [tasks.Sample("a", Path("a.jpg"), Path("a.png"), task.own_encoding)]


def test_a_class_that_no_mask_shows_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    task = tasks.get("idd_lite")
    with caplog.at_level(logging.WARNING, "larq_dense"):
        check_teaching(_pictures(*range(6), 255), _samples(task), task, "mine/train")
    (record,) = caplog.records
    assert "no picture of the split 'mine/train' shows 'sky'" in record.getMessage()
    caplog.clear()
    check_teaching(_pictures(*range(7)), _samples(task), task, "mine/train")
    assert not caplog.records


@pytest.mark.parametrize(
    ("labels", "said"),
    [((255, 255), "every pixel is ignored"), ((0, 0, 255), "`value: 255`"), ((0,), "only 'drivab")],
)
def test_masks_that_teach_nothing_are_refused(labels: tuple[int, ...], said: str) -> None:
    task = tasks.get("idd_lite")
    with pytest.raises(DataError, match=r"split 'mine/train' \(a\.png\) show") as refused:
        check_teaching(_pictures(*labels), _samples(task), task, "mine/train")
    assert said in str(refused.value)


def test_validation_needs_a_labelled_pixel() -> None:
    check_labelled(_pictures(255, 0), "mine/val")
    with pytest.raises(DataError, match="no labelled pixel to validate on"):
        check_labelled(_pictures(255, 255), "mine/val")

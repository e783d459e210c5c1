"""Pictures in memory."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.training.pictures import Picture, class_shares, load_training, load_validation
from larq_dense.training.recipe import Recipe

Make = Callable[..., Recipe]


@pytest.fixture
def bands(tmp_path: Path, write_bands: Callable[..., Path]) -> Path:
    write_bands(tmp_path / "bands", train=3, validation=4)
    return tmp_path


def test_a_truncated_picture_is_skipped_with_a_warning(
    make_recipe: Make, bands: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    path = bands / "bands" / "images" / "p01.jpg"
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    path.write_bytes(path.read_bytes()[:300])
    with caplog.at_level(logging.WARNING, "larq_dense"):
        pictures = load_training(samples, task)
    assert len(pictures) == 2
    assert [record for record in caplog.records if "p01.jpg" in record.getMessage()]


def test_no_picture_left(make_recipe: Make, bands: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(bands)
    samples = recipe.read_samples(task, bands, recipe.data.train[0])
    for sample in samples:
        sample.image.write_bytes(sample.image.read_bytes()[:300])
    with pytest.raises(DataError, match="no readable training picture"):
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

"""Corrupted pictures: what is asked of the library, what is measured, and what is refused."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from larq_dense import tasks
from larq_dense.cli import main
from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.images import read_image
from larq_dense.common.labels import Prediction
from larq_dense.evaluation import measure, measure_robustness


class Bright:
    """Calls a pixel drivable where its red is above one half."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.uint8]] = []

    def predict(self, image: Any) -> Prediction:
        pixels = read_image(image)
        self.seen.append(pixels)
        score = pixels[..., 0].astype(np.float32) - 127.5
        return Prediction(np.stack([-score, score], axis=-1), *pixels.shape[:2])


def blacken(image: NDArray[np.uint8], corruption_name: str, severity: int) -> NDArray[np.uint8]:
    """Blacken `severity` fifths of the pixels, chosen by the global generator."""
    assert corruption_name == "holes"
    chosen = np.random.random(image.shape[:2]) < severity / 5
    return np.where(chosen[..., None], np.uint8(0), image)


@pytest.fixture
def road(street: Path) -> Path:
    """Return the tiny data set with every picture and mask 82 pixels high and wide."""
    for path in [*street.glob("images/*.png"), *street.glob("masks/*.png")]:
        Image.open(path).resize((82, 82), Image.Resampling.NEAREST).save(path)
    return street


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in with one corruption in the package's place."""
    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=blacken))


def test_each_severity_is_measured_on_the_masks_as_they_are(library: None, road: Path) -> None:
    task = tasks.get("cityscapes")
    samples = task.samples(road, "val")
    found = measure_robustness(Bright(), task, samples, ["holes"], [1, 5])
    black = SimpleNamespace(predict=lambda image: Bright().predict(0 * read_image(image)))
    assert found["corrupted"]["holes"][1] == measure(black, task, samples).metrics["miou"]
    assert found["clean"] == measure(Bright(), task, samples).metrics["miou"]
    assert found["mean"] == pytest.approx(np.mean(found["corrupted"]["holes"]))
    assert found["metric"] == "miou" and found["images"] == len(samples)


def test_a_picture_is_always_corrupted_alike(library: None, road: Path) -> None:
    task = tasks.get("cityscapes")
    samples = task.samples(road, "val")
    first, second = Bright(), Bright()
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    for predictor in (first, second):
        measure_robustness(predictor, task, samples, ["holes"], [2])
    assert np.random.random() == expected, "the program's own random numbers go on as before"
    for one, other in zip(first.seen, second.seen, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_picture_that_is_too_small_is_named(library: None, road: Path) -> None:
    tiny = SimpleNamespace(
        read_label=lambda sample: np.zeros((8, 8), np.uint8),
        new_metrics=tasks.get("cityscapes").new_metrics,
    )
    picture = SimpleNamespace(image=np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="8x8 cannot be corrupted"):
        measure_robustness(Bright(), tiny, [picture], ["holes"], [1])  # type: ignore[arg-type, list-item]


def test_without_the_package_one_sentence_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, road: Path
) -> None:
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    task = tasks.get("cityscapes")
    with pytest.raises(LarqDenseError, match="pip install --no-deps imagecorruptions-imaug"):
        measure_robustness(Bright(), task, task.samples(road, "val"))


def test_the_real_package_knows_every_corruption() -> None:
    library = pytest.importorskip("imagecorruptions")
    from larq_dense.evaluation.robustness import CORRUPTIONS

    assert set(CORRUPTIONS) <= set(library.get_corruption_names("all"))


def test_the_command_prints_a_row_for_each_corruption(
    monkeypatch: pytest.MonkeyPatch, road: Path
) -> None:
    same = SimpleNamespace(corrupt=lambda image, **_: image)
    monkeypatch.setitem(sys.modules, "imagecorruptions", same)
    arguments = ["robustness", "cityscapes", "--data", str(road), "--split", "val"]
    done = CliRunner().invoke(main, [*arguments, "--limit", "1"])
    assert done.exit_code == 0, done.output
    assert "jpeg_compression" in done.output
    clean, mean = (text.split()[-1] for text in done.output.splitlines()[-1].split(","))
    assert clean == mean

"""The report's files hold what was measured."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from larq_dense import Predictor, tasks
from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import prepare_folder
from larq_dense.common.images import read_image
from larq_dense.common.labels import Prediction
from larq_dense.evaluation import measure
from larq_dense.evaluation.report import (
    TILE_WIDTH,
    comparison_sheet,
    confusion_png,
    per_class_csv,
    write_report,
)


def test_every_file_is_written_and_readable(
    street: Path, small_binary: Any, tmp_path: Path
) -> None:
    task, predictor = tasks.get("cityscapes"), Predictor(small_binary)
    found = measure(predictor, task, task.samples(street, "val"))
    files = write_report(tmp_path / "new" / "report", found, found.to_dict(), predictor, task)
    assert sorted(path.name for path in files) == [
        "best.jpg",
        "confusion.png",
        "metrics.json",
        "per_class.csv",
        "worst.jpg",
    ]
    assert sorted(files) == sorted((tmp_path / "new" / "report").iterdir())
    by_name = {path.name: path for path in files}
    assert json.loads(by_name["metrics.json"].read_text()) == found.to_dict()
    rows = list(csv.DictReader(by_name["per_class.csv"].open()))
    assert [row["class"] for row in rows] == ["background", "drivable"]
    assert [float(row["iou"]) for row in rows] == [
        found.per_class[name]["iou"] for name in ("background", "drivable")
    ]
    for name in ("best.jpg", "worst.jpg", "confusion.png"):
        with Image.open(by_name[name]) as opened:
            opened.load()
            assert min(opened.size) > 100


class UpperHalf:
    """A predictor that takes the upper half of every picture for the second class."""

    def predict(self, image: Any) -> Prediction:
        image = read_image(image)
        logits = np.zeros((*image.shape[:2], 2), np.float32)
        logits[: image.shape[0] // 2, :, 1] = 1
        return Prediction(logits, *image.shape[:2])


def test_sheets_show_picture_label_and_prediction_side_by_side(
    street: Path, small_binary: Any
) -> None:
    task = tasks.get("cityscapes")
    sample = task.samples(street, "val")[1]
    found = measure(Predictor(small_binary), task, [sample])
    sheet = comparison_sheet(list(found.scored), UpperHalf(), task)
    height = round(33 * TILE_WIDTH / 64)
    assert sheet.shape == (18 + height, 3 * TILE_WIDTH, 3)
    picture, labelled, predicted = np.split(sheet[18:].astype(int), 3, axis=1)
    # The overlay pulls drivable pixels half-way to the class's colour and leaves the rest.
    label = np.asarray(
        Image.open(sample.mask).resize((TILE_WIDTH, height), Image.Resampling.NEAREST)
    )
    assert np.abs(picture - labelled)[label == 1].mean() > 20
    upper, lower = np.split(np.abs(picture - predicted), [height // 2 - 1])
    assert upper.mean() > 20
    assert lower[2:].mean() < 5


def test_classes_without_a_figure_stay_empty_in_the_table() -> None:
    text = per_class_csv({"sky": {"iou": 0.5}, "pole": {"iou": None}})
    assert list(csv.reader(io.StringIO(text))) == [["class", "iou"], ["sky", "0.5"], ["pole", ""]]


def test_the_confusion_matrix_is_darker_where_more_pixels_are() -> None:
    def darkness(confusion: list[list[int]]) -> tuple[float, float]:
        png = confusion_png(np.array(confusion, np.int64), ["a", "b"])
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)
        # The matrix is the largest square without white; compare its left and right half.
        inside = pixels[:, pixels.shape[1] // 2 :].mean(), pixels[:, : pixels.shape[1] // 2].mean()
        return inside

    right, left = darkness([[9, 1], [9, 1]])
    mirrored_right, mirrored_left = darkness([[1, 9], [1, 9]])
    assert left < mirrored_left
    assert right > mirrored_right


def test_a_class_without_pixels_draws() -> None:
    assert confusion_png(np.zeros((3, 3), np.int64), ["a", "b", "c"]).startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LarqDenseError, match=r"cannot write in .*file/report"):
        prepare_folder(tmp_path / "file" / "report")

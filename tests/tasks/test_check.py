"""What a check of a data set finds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from larq_dense import tasks
from larq_dense.common.errors import DataError
from larq_dense.tasks.check import CheckReport, check
from larq_dense.tasks.dataset import DataSet
from larq_dense.tasks.sheet import contact_sheet

Make = Callable[..., Path]


def row(*values: int) -> NDArray[np.uint8]:
    """Return a mask of the test picture's size whose columns repeat these values."""
    return np.resize(np.array(values, np.uint8), (6, 8))


def report(root: Path, task: str | None = None, labels: str | None = None) -> CheckReport:
    return check(DataSet.open(root, tasks.get(task) if task else None, labels))[0]


def test_a_sound_folder(plain_folder: Make) -> None:
    masks = {"a": row(0, 0, 0, 3), "b": row(0, 11), "c": row(3)}
    found = report(plain_folder("camvid", masks, train=["a", "b"], val=["c"]))
    assert found.problems == []
    assert (found.layout, found.encoding) == ("plain folder", "camvid")
    assert found.splits == {"train": 2, "val": 1}
    assert (found.frames, found.usable) == (3, 3)
    assert found.sizes == {"8 x 6": 3}
    shares = {share.name: share for share in found.classes}
    # 36 + 24 of 48 + 24 + 48 labelled pixels are sky.
    assert shares["sky"].share == pytest.approx(60 / 120)
    assert shares["sky"].images == 2
    assert shares["road"].share == pytest.approx(60 / 120)
    assert (shares["car"].share, shares["car"].images) == (0, 0)
    assert found.ignored == pytest.approx(24 / 144)


def test_a_task_reports_in_its_own_classes(plain_folder: Make) -> None:
    root = plain_folder("camvid", {"a": row(0, 0, 0, 3)})
    found = report(root, task="cityscapes")
    shares = {share.name: share.share for share in found.classes}
    assert shares == {"background": 0.75, "drivable": 0.25}


def test_everything_wrong_is_named(plain_folder: Make, write: Any, picture: Any) -> None:
    masks = {stem: row(0) for stem in ("good", "cut", "masked", "noise")}
    masks["range"] = row(0, 12)
    masks["size"] = np.zeros((5, 8), np.uint8)
    root = plain_folder("camvid", masks, train=["good", "gone", "good"], val=["good"], none=[""])
    write(root / "images/bare.png", picture)
    write(root / "masks/lone.png", row(0))
    cut = write(root / "images/cut.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    (root / "images/cut.png").unlink()
    cut.write_bytes(cut.read_bytes()[:2000])
    (root / "masks/masked.png").write_bytes(b"no picture")
    write(root / "masks/noise.png", picture)
    found = report(root)
    messages = [problem.message for problem in found.problems]
    for part in (
        "the split 'none' is empty",
        "'good' stands twice in 'train'",
        "'good' is in 'train' and in 'val'",
        "'gone' is in a list but has no image",
        "images/bare.png has no mask",
        "masks/lone.png has no image",
        "cut.jpg: image file is truncated",
        "masks/masked.png: cannot identify",
        "masks/noise.png has mode RGB",
        "masks/range.png has the label 12",
        "masks/size.png is 8 x 5, but its image is 8 x 6",
    ):
        assert any(part in message for message in messages), part
    assert len(messages) == 11
    assert (found.frames, found.usable) == (9, 1)


def test_labels_of_unknown_meaning_are_counted(plain_folder: Make) -> None:
    found = report(plain_folder("stuff", {"a": row(0, 7, 7, 255)}))
    assert found.encoding == "unknown"
    assert [(share.name, share.images) for share in found.classes] == [
        ("label 0", 1),
        ("label 7", 1),
    ]
    assert found.classes[1].share == pytest.approx(2 / 3)
    assert found.problems == []
    wrong = report(plain_folder("stuff", {"b": row(0, 12)}), labels="camvid")
    assert "has the label 12" in wrong.problems[0].message


def test_own_classes_are_used(plain_folder: Make) -> None:
    root = plain_folder("rooms", {"a": row(0, 1)})
    (root / "classes.yaml").write_text(
        "classes: [{name: floor, color: [0, 9, 0]}, {name: wall, color: [9, 0, 0]}]"
    )
    assert [share.name for share in report(root).classes] == ["floor", "wall"]


def test_published_data_with_unlabelled_split(tmp_path: Path, write: Any, picture: Any) -> None:
    for split, drive in (("train", "1"), ("test", "2")):
        write(tmp_path / f"leftImg8bit/{split}/{drive}/7_image.jpg", picture)
    write(tmp_path / "gtFine/train/1/7_label.png", row(0, 6))
    found = report(tmp_path)
    assert (found.layout, found.encoding) == ("IDD-Lite", "idd_lite")
    assert found.splits == {"test": 1, "train": 1}
    assert found.unlabelled == ["test"]
    assert (found.frames, found.usable) == (2, 1)
    assert found.problems == []


def test_an_empty_folder_is_not_sound(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert "not one picture" in report(tmp_path).problems[0].message


def test_a_folder_in_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no layout"):
        DataSet.open(tmp_path)


def test_sheet_shows_colours_of_the_classes(plain_folder: Make) -> None:
    masks = {f"f{index:02}": row(3) for index in range(25)}
    data = DataSet.open(plain_folder("camvid", masks))
    _, usable = check(data)
    few = contact_sheet(usable[:1], data.task)
    many = contact_sheet(usable, data.task)
    assert few.mode == many.mode == "RGB"
    assert few.width == many.width
    assert many.height > 4 * few.height / 2
    pixels = np.asarray(few).reshape(-1, 3)
    assert np.any(np.all(pixels == data.task.classes[3].color, axis=1))

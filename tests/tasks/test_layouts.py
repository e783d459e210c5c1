"""Each data set as its authors publish it: frames, splits and labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from larq_dense import tasks
from larq_dense.common.errors import DataError
from larq_dense.tasks import Sample, kitti_road

Picture = NDArray[np.uint8]


def row(*values: int) -> Picture:
    """Return a mask of the test picture's size whose columns repeat these values."""
    return np.resize(np.array(values, np.uint8), (6, 8))


def test_cityscapes_label_ids_become_classes(tmp_path: Path, write: Any, picture: Picture) -> None:
    # unlabelled, road, pavement, parking (not evaluated), sky, person, licence of nothing, bicycle
    ids = row(0, 7, 8, 9, 23, 24, 3, 33)
    for city, frame in (("ulm", "ulm_000001_000019"), ("aachen", "aachen_000000_000019")):
        write(tmp_path / f"leftImg8bit/train/{city}/{frame}_leftImg8bit.png", picture)
        write(tmp_path / f"gtFine/train/{city}/{frame}_gtFine_labelIds.png", ids)
        # What lies next to the labels must not be taken for them.
        write(tmp_path / f"gtFine/train/{city}/{frame}_gtFine_instanceIds.png", ids)
    samples = tasks.get("cityscapes19").samples(tmp_path, "train")
    assert [sample.stem for sample in samples] == ["aachen_000000_000019", "ulm_000001_000019"]
    assert samples[0].encoding.name == "cityscapes_label_ids"
    train_ids = tasks.get("cityscapes19").read_label(samples[0])
    np.testing.assert_array_equal(train_ids, row(255, 0, 1, 255, 10, 11, 255, 18))
    drivable = tasks.get("cityscapes").read_label(samples[0])
    np.testing.assert_array_equal(drivable, row(255, 1, 0, 255, 0, 0, 255, 0))


def test_cityscapes_splits_and_missing_masks(tmp_path: Path, write: Any, picture: Picture) -> None:
    frame = "bonn_000000_000019"
    write(tmp_path / f"leftImg8bit/train_extra/bonn/{frame}_leftImg8bit.png", picture)
    task = tasks.get("cityscapes")
    with pytest.raises(DataError, match=r"no split 'val'; it has train_extra\."):
        task.samples(tmp_path, "val")
    with pytest.raises(DataError, match=rf"{frame}_leftImg8bit\.png has no mask"):
        task.samples(tmp_path, "train_extra")
    picture_file = next((tmp_path / "leftImg8bit").rglob("*.png"))
    with pytest.raises(DataError, match="has no mask"):
        task.read_label(Sample(frame, picture_file, None, task.own_encoding))


def test_idd_lite_as_published(tmp_path: Path, write: Any, picture: Picture) -> None:
    labels = row(0, 1, 2, 3, 4, 5, 6, 255)
    write(tmp_path / "leftImg8bit/val/119/903127_image.jpg", picture)
    write(tmp_path / "gtFine/val/119/903127_label.png", labels)
    write(tmp_path / "gtFine/val/119/903127_inst_label.png", row(7))
    for name, expected in (
        ("idd_lite", labels),
        ("cityscapes", row(1, 0, 0, 0, 0, 0, 0, 255)),
        ("kitti_road", row(1, 0, 0, 0, 0, 0, 0, 255)),
    ):
        task = tasks.get(name)
        (sample,) = task.samples(tmp_path, "val")
        assert (sample.stem, sample.encoding.name) == ("val_119_903127", "idd_lite")
        np.testing.assert_array_equal(task.read_label(sample), expected)


@pytest.mark.parametrize("listed", [True, False])
def test_camvid_in_segnets_layout(
    tmp_path: Path, write: Any, picture: Picture, listed: bool
) -> None:
    lines = []
    for stem in ("0001TP_006690", "0006R0_f00930"):
        write(tmp_path / f"train/{stem}.png", picture)
        write(tmp_path / f"trainannot/{stem}.png", row(0, 3, 4, 8, 9, 10, 11, 2))
        lines.append(f"/SegNet/CamVid/train/{stem}.png /SegNet/CamVid/trainannot/{stem}.png\n")
    if listed:
        (tmp_path / "train.txt").write_text("".join(reversed(lines)))
    task = tasks.get("camvid")
    samples = task.samples(tmp_path, "train")
    order = [sample.stem for sample in samples]
    assert order == sorted(order, reverse=listed)
    np.testing.assert_array_equal(task.read_label(samples[0]), row(0, 3, 4, 8, 9, 10, 255, 2))
    drivable = tasks.get("cityscapes").read_label(samples[0])
    np.testing.assert_array_equal(drivable, row(0, 1, 0, 0, 0, 0, 255, 0))


def test_camvid_list_that_names_one_file(tmp_path: Path, write: Any, picture: Picture) -> None:
    write(tmp_path / "val/a.png", picture)
    write(tmp_path / "valannot/a.png", row(0))
    (tmp_path / "val.txt").write_text("\n/SegNet/CamVid/val/a.png\n")
    with pytest.raises(DataError, match=r"line 2 of .*val\.txt does not hold two paths"):
        tasks.get("camvid").samples(tmp_path, "val")
    (tmp_path / "val.txt").write_bytes("/SegNet/val/ä.png /SegNet/valannot/ä.png".encode("latin-1"))
    with pytest.raises(DataError, match="has no image for"):
        tasks.get("camvid").samples(tmp_path, "val")


ROAD, OTHER, OUT = (255, 0, 255), (255, 0, 0), (0, 0, 0)


@pytest.mark.parametrize("below", ["training", "data_road/training", "."])
def test_kitti_road_as_published(tmp_path: Path, write: Any, picture: Picture, below: str) -> None:
    colors = np.zeros((6, 8, 3), np.uint8)
    colors[:2], colors[2:4], colors[4:] = OTHER, ROAD, OUT
    training = tmp_path / below
    for stem in ("um_000075", "um_000076", "umm_000080", "uu_000000"):
        category, number = stem.split("_")
        write(training / f"image_2/{stem}.png", picture)
        write(training / f"gt_image_2/{category}_road_{number}.png", colors)
    write(training / "gt_image_2/um_lane_000075.png", np.full((6, 8, 3), 255))
    task = tasks.get("kitti_road")
    stems = {s: [f.stem for f in task.samples(tmp_path, s)] for s in ("train", "val", "all")}
    assert stems["train"] == ["um_000075", "uu_000000"]
    assert stems["val"] == ["um_000076", "umm_000080"]
    assert stems["all"] == ["um_000075", "um_000076", "umm_000080", "uu_000000"]
    label = task.read_label(task.samples(tmp_path, "train")[0])
    np.testing.assert_array_equal(label, np.repeat([0, 1, 255], 2)[:, None] * np.ones(8, int))


def test_kitti_hold_out_is_a_fixed_fifth_of_the_289_frames() -> None:
    counts = {"um": 95, "umm": 96, "uu": 98}
    stems = [f"{name}_{number:06}" for name, n in counts.items() for number in range(n)]
    held = [stem for stem in stems if kitti_road.held_out(stem)]
    assert len(stems) == 289
    assert len(held) == 58
    assert held[0] == "um_000076"
    # Blocks at the end of each category, so that neighbours on the street stay together.
    assert all(stems[stems.index(stem) + 1] in held for stem in held[:18])


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images", "ground_truth_mask"), ("imgs", "gt"), ("DUT-OMRON-image", "pixelwiseGT-new-PNG")],
)
def test_ecssd_and_its_kin(
    tmp_path: Path, write: Any, picture: Picture, images: str, masks: str
) -> None:
    for stem in ("0002", "0001"):
        write(tmp_path / images / f"{stem}.jpg", picture)
        write(tmp_path / masks / f"{stem}.png", row(0, 20, 128, 129, 255))
    task = tasks.get("ecssd")
    samples = task.samples(tmp_path, "test")
    assert [sample.stem for sample in samples] == ["0001", "0002"]
    # The split of soft edges is that of the measures: more than 128.
    np.testing.assert_array_equal(task.read_label(samples[0]), row(0, 0, 0, 1, 1))
    with pytest.raises(DataError, match="no split 'val'; it has test, all"):
        task.samples(tmp_path, "val")


@pytest.mark.parametrize("below", [".", "DUTS-TR"])
def test_duts_has_two_splits(tmp_path: Path, write: Any, picture: Picture, below: str) -> None:
    write(tmp_path / "DUTS-TR/DUTS-TR-Image/a.jpg", picture)
    write(tmp_path / "DUTS-TR/DUTS-TR-Mask/a.png", row(0, 255))
    task = tasks.get("ecssd")
    (sample,) = task.samples(tmp_path / below, "train")
    np.testing.assert_array_equal(task.read_label(sample), row(0, 1))
    with pytest.raises(DataError, match=r"no split 'test'; it has train\."):
        task.samples(tmp_path / below, "test")
    write(tmp_path / "DUTS-TE/DUTS-TE-Image/b.jpg", picture)
    write(tmp_path / "DUTS-TE/DUTS-TE-Mask/b.png", row(0, 255))
    assert [sample.stem for sample in task.samples(tmp_path, "test")] == ["b"]


def test_a_mask_without_picture_is_named(tmp_path: Path, write: Any, picture: Picture) -> None:
    write(tmp_path / "images/a.jpg", picture)
    for stem in "ab":
        write(tmp_path / f"ground_truth_mask/{stem}.png", row(0, 255))
    with pytest.raises(DataError, match="no image for 'b'"):
        tasks.get("ecssd").samples(tmp_path, "test")


def test_a_folder_in_no_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no layout that can be read here: Cityscapes, IDD-Lite"):
        tasks.get("cityscapes").samples(tmp_path, "val")
    with pytest.raises(DataError, match="no such folder"):
        tasks.get("cityscapes").samples(tmp_path / "nowhere", "val")


def test_within_needs_a_plain_folder(tmp_path: Path, write: Any, picture: Picture) -> None:
    write(tmp_path / "imgs/a.jpg", picture)
    write(tmp_path / "gt/a.png", row(0, 255))
    with pytest.raises(DataError, match="no split 'chosen'"):
        tasks.get("ecssd").samples(tmp_path, "test", within="chosen")
